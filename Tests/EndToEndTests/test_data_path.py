"""The whole platform as its users meet it: records over REST through the gateway, rows out of queries.

One platform (PostgreSQL, the four services as processes of their own, nginx) serves all cases; each has its own source.
"""

import gzip
import json
import os
import sys
import threading
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from platform_under_test import Platform  # noqa: E402
from ports import first_port  # noqa: E402

NDJSON, JSON, CSV, TEXT = "application/x-ndjson", "application/json", "text/csv", "text/plain"


def setUpModule():
    global platform
    platform = Platform(port=first_port(__file__)).__enter__()
    platform.wait_until_ready()


def tearDownModule():
    platform.__exit__()


class DataPath(unittest.TestCase):
    def send(self, source, body, content_type=NDJSON, query="?wait=stored&timeout=60s", headers=None):
        connection = platform.connect()
        try:
            if isinstance(body, str):
                body = body.encode()
            connection.request("POST", f"/v1/ingest/{source}{query}", body=body, headers={
                "Authorization": f"Bearer {platform.key}", "Content-Type": content_type, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()), {k.lower(): v for k, v in answer.getheaders()}
        finally:
            connection.close()

    def store(self, *arguments, **options):
        status, answer, _ = self.send(*arguments, **options)
        self.assertEqual(status, 200, answer)
        return answer

    def text(self, path):
        connection = platform.connect()
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {platform.key}"})
            return connection.getresponse().read()
        finally:
            connection.close()

    def query(self, sql, *params):
        answer = platform.must("POST", "/v1/query", json.dumps({"sql": sql, "params": list(params)}))
        return [tuple(row) for row in answer["rows"]]

    # Formats

    def test_ndjson_becomes_rows_with_inferred_types(self):
        answer = self.store("inferred", '{"a":1,"b":"x","c":1.5,"d":true,"e":{"k":[1]},"f":"2026-01-01T00:00:00Z"}\n'
                                        '{"a":2,"b":"ü\\n","c":2}\n')
        self.assertEqual((answer["state"], answer["received"], answer["stored"]), ("stored", 2, 2))
        self.assertEqual(self.query("select a, b, c, d, e, f from inferred order by a"), [
            (1, "x", 1.5, True, {"k": [1]}, "2026-01-01T00:00:00Z"), (2, "ü\n", 2, None, None, None)])

    def test_json_array_object_csv_and_text(self):
        self.assertEqual(self.store("arrays", '[{"n":1},{"n":2}, {"n":3}]', JSON)["stored"], 3)
        self.assertEqual(self.store("arrays", '{\n "n": 4\n}', JSON)["stored"], 1)
        self.assertEqual(self.query("select sum(n) from arrays"), [(10,)])
        body = 'id,name,note\r\n1,"a ""quoted"" name","two\nlines"\r\n2,plain,\r\n3,"",x\r\n'
        self.assertEqual(self.store("sheets", body, CSV)["stored"], 3)
        self.assertEqual(self.query("select id, name, note from sheets order by id"), [
            (1, 'a "quoted" name', "two\nlines"), (2, "plain", None), (3, "", "x")])
        self.assertEqual(self.store("lines", "one\n\ntwo\nthree", TEXT)["stored"], 3)
        self.assertEqual(self.query("select line from lines order by line"), [("one",), ("three",), ("two",)])

    def test_numbers_keep_their_digits(self):
        numbers = {
            "i": [9223372036854775807, -9223372036854775808, 0, -1],
            "n": ["1" * 100, "-" + "9" * 60 + "." + "8" * 40, "0." + "0" * 30 + "7", "12345678901234567890.50"],
            "f": ["0.1", "5e-324", "1.7976931348623157e+308", "123456.789"],
        }
        for format_ in (NDJSON, CSV):
            name = "digits_" + format_[-3:]
            rows = [dict(zip(numbers, values)) for values in zip(*numbers.values())]
            if format_ == CSV:
                body = "i,n,f\n" + "".join(f"{row['i']},{row['n']},{row['f']}\n" for row in rows)
            else:
                body = "".join('{"i":%s,"n":%s,"f":%s}\n' % (row["i"], row["n"], row["f"]) for row in rows)
            self.assertEqual(self.store(name, body, format_)["stored"], 4)
            items = json.loads(self.text(f"/v1/datasets/{name}/rows?limit=10"), parse_int=str, parse_float=str)["items"]
            self.assertEqual({item["i"] for item in items}, {str(value) for value in numbers["i"]})
            self.assertEqual({item["n"] for item in items}, set(numbers["n"]))
            self.assertEqual({float(item["f"]) for item in items}, {float(value) for value in numbers["f"]})
            types = platform.must("GET", f"/v1/datasets/{name}")["columns"]
            self.assertEqual([column["type"] for column in types], ["int8", "numeric", "float8"])

    def test_compressed_bodies(self):
        body = gzip.compress(b'{"n":1}\n{"n":2}\n')
        self.assertEqual(self.store("packed", body, headers={"Content-Encoding": "gzip"})["stored"], 2)
        status, answer, _ = self.send("packed", body[:-6], headers={"Content-Encoding": "gzip"})
        self.assertEqual((status, answer["code"]), (400, "invalid_encoding"))
        self.assertEqual(self.query("select count(*) from packed"), [(2,)])

    def test_a_large_body_is_accepted_as_a_whole(self):
        count = 60_000
        body = "".join(f'{{"n":{n},"text":"{"x" * 80}"}}\n' for n in range(count))
        answer = self.store("large", body, query="?wait=stored&timeout=60s")
        self.assertTrue(answer["receipt"].startswith("u"), answer)
        self.assertEqual((answer["received"], answer["stored"]), (count, count))
        self.assertEqual(self.query("select count(*), count(distinct n), sum(n) from large"),
                         [(count, count, count * (count - 1) // 2)])

    def test_a_large_body_that_cannot_be_cut_leaves_nothing(self):
        body = "[" + ",".join(f'{{"n":{n},"text":"{"x" * 80}"}}' for n in range(60_000))
        status, answer, _ = self.send("torn", body, JSON)
        self.assertEqual((status, answer["code"]), (400, "malformed_body"))
        self.assertEqual(answer["line"], 1)
        self.assertEqual(platform.must("GET", "/v1/batches?source=torn")["items"], [])

    # Bad records and bad requests

    def test_bad_records_are_quarantined_with_their_bytes(self):
        lines = ['{"n":1}', '{"n":', "[1]", '{"s":"\\u0000"}', '{"s":"\\ud800"}', '{"n":2}']
        answer = self.store("noisy", "\n".join(lines) + "\n")
        self.assertEqual((answer["received"], answer["stored"], answer["quarantined"]), (6, 2, 4))
        items = platform.must("GET", "/v1/datasets/noisy/quarantine")["items"]
        self.assertEqual({item["raw"] for item in items}, set(lines[1:5]))
        codes = {item["raw"]: item["errors"][0]["code"] for item in items}
        self.assertEqual(codes, {lines[1]: "invalid_json", lines[2]: "not_an_object", lines[3]: "nul_character",
                                 lines[4]: "lone_surrogate"})

    def test_bad_requests_name_the_fault(self):
        cases = [
            (("x", ""), {}, 400, "empty_body"),
            (("x", "\n\n"), {}, 400, "empty_body"),
            (("x", "{}"), {"content_type": "application/xml"}, 415, "unsupported_media_type"),
            (("x", "{}"), {"content_type": "text/plain; charset=latin1"}, 415, "unsupported_media_type"),
            (("Bad-Name", "{}"), {}, 422, "invalid_name"),
            (("x", "{}"), {"query": "?wait=never"}, 400, "invalid_parameter"),
            (("x", "{}"), {"query": "?wate=stored"}, 400, "invalid_parameter"),
            (("x", "{}"), {"headers": {"Idempotency-Key": "k" * 256}}, 400, "invalid_header"),
            (("x", '[{"n":1} {"n":2}]', JSON), {}, 400, "malformed_body"),
        ]
        for arguments, options, status, code in cases:
            found, answer, headers = self.send(*arguments, **options)
            self.assertEqual((found, answer.get("code")), (status, code), (arguments, options, answer))
            self.assertEqual(headers["content-type"], "application/problem+json")
        self.assertEqual(platform.call("GET", "/v1/receipts/r000000000zzzz")[0], 404)

    def test_keys_are_needed(self):
        for headers in ({}, {"Authorization": "Bearer mr_" + "A" * 43}):
            for method, path in (("POST", "/v1/ingest/x"), ("GET", "/v1/pipelines"), ("GET", "/v1/datasets"),
                                 ("POST", "/v1/query"), ("GET", "/v1/queues")):
                # One connection each: where a refusal overtakes the body, the gateway closes after it.
                connection = platform.connect()
                connection.request(method, path, body="{}", headers={"Content-Type": JSON, **headers})
                answer = connection.getresponse()
                self.assertEqual((answer.status, json.loads(answer.read())["code"]), (401, "unauthorized"), path)
                connection.close()

    # Receipts and keys

    def test_concurrent_small_requests_have_counts_of_their_own(self):
        answers = {}

        def one(number):
            body = "".join(f'{{"client":{number},"n":{n}}}\n' for n in range(number)) + "bad\n" * (number % 3)
            answers[number] = self.send("shared", body)

        threads = [threading.Thread(target=one, args=(number,)) for number in range(1, 33)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for number, (status, answer, _) in answers.items():
            self.assertEqual(status, 200, answer)
            self.assertEqual((answer["received"], answer["stored"], answer["quarantined"]),
                             (number + number % 3, number, number % 3))
            again = platform.must("GET", f"/v1/receipts/{answer['receipt']}")
            self.assertEqual((again["stored"], again["quarantined"], again["state"]), (number, number % 3, "stored"))
        self.assertEqual(len({answer["receipt"] for _, answer, _ in answers.values()}), 32)
        self.assertEqual(sorted(self.query("select client, count(*) from shared group by 1")),
                         [(number, number) for number in range(1, 33)])

    def test_idempotency_keys(self):
        def send(body, key):
            return self.send("keyed", body, headers={"Idempotency-Key": key})

        first = send('{"n":1}\n', "a")
        again = send('{"n":1}\n', "a")
        self.assertEqual((first[0], again[0]), (200, 200))
        self.assertEqual(first[1]["receipt"], again[1]["receipt"])
        self.assertEqual(again[2].get("idempotent-replayed"), "true")
        status, answer, _ = send('{"n":2}\n', "a")
        self.assertEqual((status, answer["code"]), (422, "idempotency_mismatch"))
        large = "".join(f'{{"n":{n},"text":"{"x" * 80}"}}\n' for n in range(30_000))
        one, two = send(large, "b"), send(large, "b")
        self.assertEqual((one[0], two[0], one[1]["receipt"]), (200, 200, two[1]["receipt"]))
        results = []
        threads = [threading.Thread(target=lambda: results.append(send('{"n":-1}\n', "c"))) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({status for status, _, _ in results} - {200, 409}, set())
        self.assertEqual(len({answer["receipt"] for status, answer, _ in results if status == 200}), 1)
        self.assertEqual(self.query("select count(*) from keyed"), [(1 + 30_000 + 1,)])

    # Sources

    def test_a_source_is_held_to_its_settings_until_it_is_deleted(self):
        settings = {"limits": {"max_body_bytes": 4096, "records_per_second": 3}, "retention": {"raw": "1d"}}
        status, answer = platform.call("PUT", "/v1/sources/limited", json.dumps(settings))
        self.assertEqual((status, answer["version"], answer["definition"]), (201, 1, settings), answer)
        self.assertEqual(platform.call("PUT", "/v1/sources/limited", json.dumps(settings))[0], 200)
        self.assertEqual(self.send("limited", '{"n":1}\n' * 600)[1]["code"], "payload_too_large")
        bomb = gzip.compress(b'{"n":1}\n' * 600)
        self.assertLess(len(bomb), 100)
        expanded = self.send("limited", bomb, headers={"Content-Encoding": "gzip"})
        self.assertEqual((expanded[0], expanded[1]["code"]), (413, "payload_too_large"))
        self.store("limited", '{"n":1}\n' * 300)
        status, answer, headers = self.send("limited", '{"n":2}\n')
        self.assertEqual((status, answer["code"]), (429, "rate_limited"))
        self.assertIn(int(headers["retry-after"]), range(40, 101), "300 records at 3 a second")
        source = platform.must("GET", "/v1/sources/limited")
        self.assertEqual((source["version"], source["lag_seconds"], source["freshness"]), (1, 0, None))
        self.assertAlmostEqual(source["rates"]["records_per_second"], 300 / 60, places=3)
        metrics = platform.connect(platform.port_of("ingest"))
        metrics.request("GET", "/metrics")
        text = metrics.getresponse().read().decode()
        self.assertIn('millrace_source_freshness_seconds{workspace="default",source="limited"} 0', text)

        status, answer = platform.call("DELETE", "/v1/sources/limited?confirm=limited")
        self.assertEqual(status, 204, answer)
        self.assertEqual(platform.call("GET", "/v1/sources/limited")[0], 404)
        self.assertEqual(platform.call("GET", "/v1/pipelines/limited")[0], 404)
        self.assertEqual(len(platform.must("GET", "/v1/batches?source=limited")["items"]), 1)
        self.store("limited", '{"n":3}\n')
        self.assertEqual(self.query("select n, count(*) from limited group by 1 order by 1"), [(1, 300), (3, 1)])

    # Pipelines

    def test_a_pipeline_parses_converts_filters_and_expects(self):
        definition = {
            "source": "weblogs",
            "steps": [
                {"parse": {"format": "combined", "from": "line"}},
                {"cast": {"status": "int8"}},
                {"derive": {"is_error": "status >= 500", "kb": "bytes / 1024.0"}},
                {"filter": "method <> 'OPTIONS'"},
                {"expect": {"status_valid": "status between 100 and 599"}},
                {"rename": {"agent": "user_agent"}},
                {"drop": ["referer"]}],
            "target": {"dataset": "web", "mode": "append"}, "on_error": "quarantine"}
        status, answer = platform.call("PUT", "/v1/pipelines/web", json.dumps(definition))
        self.assertEqual((status, answer["version"]), (201, 1), answer)
        self.assertEqual(platform.call("PUT", "/v1/pipelines/web", json.dumps(definition))[0], 200)
        self.assertEqual(platform.must("GET", "/v1/pipelines/web")["version"], 1, "an identical body: no new version")

        def line(method, status, size):
            return f'10.0.0.1 - - [10/Oct/2025:13:55:36 +0200] "{method} /a HTTP/1.1" {status} {size} "-" "curl/8"\n'

        body = line("GET", 200, 2048) + line("OPTIONS", 204, 0) + line("POST", 503, 512) + line("GET", 999, 1)
        body += "junk\n"
        dry = platform.must("POST", "/v1/pipelines/web/dry-run", json.dumps({"records": body.splitlines()}))
        self.assertEqual((len(dry["rows"]), len(dry["filtered"]), len(dry["quarantined"])), (2, 1, 2), dry)
        answer = self.store("weblogs", body, TEXT)
        self.assertEqual([answer[name] for name in ("received", "stored", "filtered", "quarantined")], [5, 2, 1, 2])
        rows = self.query("select method, status, is_error, kb, user_agent, ts from web order by status")
        self.assertEqual([row[:3] for row in rows], [("GET", 200, False), ("POST", 503, True)])
        self.assertEqual(float(rows[0][3]), 2.0)
        self.assertEqual(rows[0][4:], ("curl/8", "2025-10-10T11:55:36Z"))
        steps = {item["errors"][0]["step"] for item in platform.must("GET", "/v1/datasets/web/quarantine")["items"]}
        self.assertEqual(steps, {"steps[0].parse", "steps[4].expect"})
        outputs = platform.must("GET", f"/v1/receipts/{answer['receipt']}")["outputs"]
        self.assertEqual([(o["pipeline"], o["version"], o["dataset"]) for o in outputs], [("web", 1, "web")])

    def test_mistakes_in_a_definition_are_named_with_their_place(self):
        cases = [
            ([{"filter": "a = 1"}, {"frobnicate": {}}], "steps[1].frobnicate"),
            ([{"derive": {"a": "1 +"}}], "steps[0].derive.a"),
            ([{"filter": "lower(x) > 1 + true"}], "steps[0].filter"),
            ([{"cast": {"a": "int9"}}], "steps[0].cast.a"),
        ]
        for steps, path in cases:
            definition = {"source": "s", "steps": steps, "target": {"dataset": "t", "mode": "append"}}
            status, answer = platform.call("PUT", "/v1/pipelines/wrong", json.dumps(definition))
            self.assertEqual((status, answer["code"]), (422, "invalid_pipeline"))
            self.assertEqual(answer["errors"][0]["path"], path, answer)
        self.assertEqual(platform.call("GET", "/v1/pipelines/wrong")[0], 404)

    # Schemas

    def test_new_columns_and_other_types_find_a_place(self):
        self.store("moving", '{"a":1}\n')
        self.store("moving", '{"a":2,"b":"new"}\n')
        self.store("moving", '{"a":"three","b":"x"}\n')
        self.assertEqual(self.query("select a, b, a__text from moving order by _batch"), [
            (1, None, None), (2, "new", None), (None, "x", "three")])

    def test_a_declared_dataset_refuses_what_does_not_fit(self):
        definition = {"columns": [{"name": "id", "type": "int8", "nullable": False}, {"name": "at", "type": "date"}],
                      "on_new_column": "extra"}
        self.assertEqual(platform.call("PUT", "/v1/datasets/strict", json.dumps(definition))[0], 201)
        answer = self.store("strict", '{"id":1,"at":"2026-02-28","more":[1]}\n{"id":"x"}\n{"at":"2026-02-28"}\n'
                                      '{"id":4,"at":"2026-02-30"}\n')
        self.assertEqual((answer["stored"], answer["quarantined"]), (1, 3), answer)
        self.assertEqual(self.query("select id, at, _extra from strict"), [(1, "2026-02-28", {"more": [1]})])

    # Reading back

    def test_rows_lineage_and_raw(self):
        self.store("traced", '{"n":1}\n{"n":2}\n')
        rows = platform.must("GET", "/v1/datasets/traced/rows?limit=10")["items"]
        self.assertEqual(sorted(row["n"] for row in rows), [1, 2])
        batch, row = self.query("select _batch, _row from traced where n = 2")[0]
        items = platform.must("GET", f"/v1/datasets/traced/lineage?batch={batch}&row={row}")["items"]
        self.assertEqual(json.loads(items[0]["raw"]), {"n": 2})
        self.assertEqual(items[0]["pipeline"], "traced")

    def test_queries_read_their_workspace_only(self):
        for sql in ("select * from millrace.api_key", "select set_config('role', 'postgres', false)",
                    "delete from traced", "select pg_sleep(1)", "select 1; select 2", "select * from pg_roles"):
            status, answer = platform.call("POST", "/v1/query", json.dumps({"sql": sql}))
            self.assertIn(status, (403, 422), sql)
        self.assertEqual(self.query("select $1::int8 + 1", 41), [(42,)])

    def test_the_documents_are_merged(self):
        paths = platform.must("GET", "/openapi.json")["paths"]
        for path in ("/v1/ingest/{source}", "/v1/pipelines/{name}", "/v1/datasets/{name}", "/v1/query"):
            self.assertIn(path, paths)
        self.assertEqual(platform.call("GET", "/metrics")[0], 404)


if __name__ == "__main__":
    unittest.main()
