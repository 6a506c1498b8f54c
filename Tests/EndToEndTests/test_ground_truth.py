"""Ground truth over the whole path: a seeded generator of web logs knows how many lines are malformed, filtered,
doubled or out of range, and every receipt, dataset and quarantine has to say the same, to one."""

import base64
import collections
import concurrent.futures
import datetime
import json
import os
import random
import re
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from platform_under_test import Platform  # noqa: E402
from ports import first_port  # noqa: E402

COUNTS = ("received", "stored", "filtered", "quarantined", "duplicates")
ALWAYS = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
STEPS = [
    {"parse": {"format": "combined"}},
    {"drop": ["ident", "remote_user", "protocol", "referer"]},
    {"derive": {"rid": "split_part(path, 'rid=', 2)::int8"}},
    {"filter": "method <> 'OPTIONS'"},
    {"expect": {"status_valid": "status between 100 and 599"}},
    {"dedupe": {"by": ["rid"]}},
    {"outliers": {"column": "bytes", "method": "iqr", "threshold": 3, "action": "quarantine"}},
]
COLUMNS = [("rid", "int8"), ("ip", "text"), ("ts", "timestamptz"), ("method", "text"), ("path", "text"),
           ("status", "int8"), ("bytes", "int8"), ("agent", "text")]
DECODE, PARSE = ("decode", None), ("transform", "steps[0].parse")
# What is wrong with a line: how it is made of a good one, and what the quarantine says of it.
MALFORMED = {
    "truncated": (lambda line, n: line[:line.index(b"/p")], *PARSE, "parse_failed"),
    "cut behind the request": (lambda line, n: line[:line.index(b'HTTP/1.1"') + 9], *PARSE, "parse_failed"),
    "unclosed quote": (lambda line, n: line[:-1], *PARSE, "parse_failed"),
    "impossible date": (lambda line, n: re.sub(rb"\[../Mar/", b"[30/Feb/", line), *PARSE, "parse_failed"),
    "no date": (lambda line, n: line.replace(b"/Mar/", b"/Mrz/"), *PARSE, "parse_failed"),
    "status is no number": (lambda line, n: line.replace(b'1" ', b'1" abc'), *PARSE, "parse_failed"),
    "more than the format": (lambda line, n: line + b' "x"', *PARSE, "parse_failed"),
    "no log line": (lambda line, n: b"junk %d" % n, *PARSE, "parse_failed"),
    "bad UTF-8": (lambda line, n: line[:-2] + b"\xff\xfe" + line[-2:], *DECODE, "invalid_utf8"),
    "cut UTF-8": (lambda line, n: line[:-1] + "ü".encode()[:1] + b'"', *DECODE, "invalid_utf8"),
    "U+0000": (lambda line, n: line[:-1] + b'\0"', *DECODE, "nul_character"),
    "no id": (lambda line, n: line.replace(b"rid=", b"did="), "transform", "steps[2].derive", "invalid_cast"),
    "id too large": (lambda line, n: line.replace(b"rid=", b"rid=9223372036854775807"), "transform", "steps[2].derive",
                     "out_of_range"),
    "impossible status": (lambda line, n: line.replace(b'1" ', b'1" 9'), "transform", "steps[4].expect",
                          "expectation_failed"),
}


def setUpModule():
    global platform
    platform = Platform(port=first_port(__file__)).__enter__()
    platform.wait_until_ready()


def tearDownModule():
    platform.__exit__()


def bytes_of(item):
    """A quarantined record's; those that are no UTF-8 come in base64url, without padding."""
    coded = item.get("raw_base64")
    return item["raw"].encode() if coded is None else base64.urlsafe_b64decode(coded + "==")


class WebLogs:
    """Requests of log lines, with what has to become of them."""

    def __init__(self, seed, first=1):
        self.random = random.Random(seed)
        self.next = first
        # The rows that are to be stored, by their ids; and for the quarantine of each line why it is there.
        self.rows = {}
        self.quarantine = {}
        self.parsed = 0

    def good(self, method=None, size=None, agent=None):
        """A line and its row."""
        generator = self.random
        rid, self.next = self.next, self.next + 1
        at = datetime.datetime(2026, 3, generator.randrange(2, 30), tzinfo=datetime.timezone.utc) \
            + datetime.timedelta(seconds=generator.randrange(86_400))
        zone = generator.choice((0, 0, 60, -420, 330))
        local = at + datetime.timedelta(minutes=zone)
        row = {"rid": rid, "ip": f"10.{generator.randrange(256)}.0.{generator.randrange(256)}",
               "ts": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
               "method": method or generator.choice(("GET", "GET", "GET", "POST", "HEAD")),
               "path": f"/p{generator.randrange(50)}?rid={rid}",
               "status": generator.choice((200, 200, 200, 204, 301, 404, 500, 503)),
               "bytes": size or (None if generator.random() < 0.02 else generator.randrange(1_000, 2_000)),
               "agent": agent or generator.choice(("curl/8.1", 'Mozilla/5.0 (X11; "q" \\ x)', "b\u00f6t \U0001f916"))}
        escaped = row["agent"].replace("\\", "\\\\").replace('"', '\\"')
        size = "-" if row["bytes"] is None else row["bytes"]
        offset = f"{'-' if zone < 0 else '+'}{abs(zone) // 60:02}{abs(zone) % 60:02}"
        stamp = local.strftime(f"%d/Mar/%Y:%H:%M:%S {offset}")
        line = f'{row["ip"]} - - [{stamp}] "{row["method"]} {row["path"]} HTTP/1.1" {row["status"]} {size} ' \
            f'"-" "{escaped}"'
        return line.encode(), row

    def request(self, lines, again=()):
        """A body of so many lines, some of them doubles of each other and of the rows `again`; and its counts."""
        generator, body = self.random, []
        counts = dict.fromkeys(COUNTS, 0)
        for place in range(lines):
            kind = generator.random()
            if kind < 0.04:
                name = generator.choice(list(MALFORMED))
                make, stage, step, code = MALFORMED[name]
                line, _ = self.good(agent="bad/1.0")
                line = make(line, self.next)
                if stage == "transform" and step != PARSE[1]:
                    self.parsed += 1
                self.quarantine[line] = (stage, step, code)
                counts["quarantined"] += 1
            elif kind < 0.05:
                line, row = self.good(method=generator.choice(("GET", "POST")), size=generator.randrange(10**6, 10**9))
                self.quarantine[line] = ("transform", "steps[6].outliers", "outlier")
                counts["quarantined"] += 1
                self.parsed += 1
            elif kind < 0.10:
                line, _ = self.good(method="OPTIONS")
                counts["filtered"] += 1
                self.parsed += 1
            else:
                line, row = self.good()
                self.rows[row["rid"]] = row
                counts["stored"] += 1
                self.parsed += 1
                if kind > 0.97:
                    # Its double comes somewhere behind it.
                    body.append((place + generator.random() * lines, line))
                    counts["duplicates"] += 1
                    self.parsed += 1
            body.append((place, line))
        for row in again:
            # What came first is kept, so this one has another agent.
            line, _ = self.good(agent="late/1.0")
            line = line.replace(b"rid=%d " % (self.next - 1), b"rid=%d " % row["rid"])
            body.append((generator.random() * lines, line))
            counts["duplicates"] += 1
            self.parsed += 1
        counts["received"] = sum(counts.values())
        ending = generator.choice((b"\n", b"\r\n"))
        parts = []
        for _, line in sorted(body):
            parts.append(line + ending)
            if generator.random() < 0.01:
                # Blank lines are no records.
                parts.append(ending)
        return b"".join(parts), counts


class GroundTruth(unittest.TestCase):
    maxDiff = 4_000

    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1].removeprefix("test_")[:40]

    def put(self, name):
        platform.must("PUT", f"/v1/datasets/{name}", json.dumps(
            {"columns": [{"name": column, "type": kind} for column, kind in COLUMNS], "primary_key": ["rid"],
             "time_column": "ts"}))
        platform.must("PUT", f"/v1/pipelines/{name}", json.dumps(
            {"source": name, "steps": STEPS, "target": {"dataset": name, "mode": "ignore"}}))
        platform.must("PUT", f"/v1/pipelines/{name}_all", json.dumps(
            {"source": name, "steps": STEPS[:1], "target": {"dataset": f"{name}_all"}}))

    def send(self, name, body, wait=True):
        query = "?wait=stored&timeout=60s" if wait else ""
        return platform.must("POST", f"/v1/ingest/{name}{query}", body, content_type="text/plain")["receipt"]

    def outputs(self, receipt):
        answer = platform.must("GET", f"/v1/receipts/{receipt}")
        self.assertEqual(answer["state"], "stored", answer)
        found = {output["pipeline"]: output for output in answer["outputs"]}
        return answer["received"], found

    def quarantined(self, dataset):
        """{line: (stage, step, code)} of all that is there."""
        found, cursor = [], ""
        while cursor is not None:
            page = platform.must("GET", f"/v1/datasets/{dataset}/quarantine?limit=1000{cursor}")
            found += page["items"]
            cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
        lines = {}
        for item in found:
            raw = bytes_of(item)
            error, = item["errors"]
            lines[raw.rstrip(b"\r")] = (item["stage"], error["step"], error["code"])
        self.assertEqual(len(lines), len(found))
        return lines

    def rows(self, dataset):
        found, cursor = [], ""
        while cursor is not None:
            columns = ",".join(name for name, _ in COLUMNS)
            page = platform.must("GET", f"/v1/datasets/{dataset}/rows?limit=5000&columns={columns}{cursor}")
            found += page["items"]
            cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
        return found

    def check(self, name, logs):
        """The datasets and their quarantine hold what the generator says."""
        rows = self.rows(name)
        self.assertEqual(len(rows), len(logs.rows))
        self.assertEqual({row["rid"]: row for row in rows}, logs.rows)
        found = self.quarantined(name)
        self.assertEqual(collections.Counter(found.values()), collections.Counter(logs.quarantine.values()))
        self.assertEqual(found, logs.quarantine)
        unread = {line: why for line, why in logs.quarantine.items() if why[:2] in (DECODE, PARSE)}
        self.assertEqual(self.quarantined(f"{name}_all"), unread)
        self.assertEqual(int(platform.sql(f"select count(*) from ws_default.{name}_all")), logs.parsed)
        answer = platform.must("GET", f"/v1/datasets/{name}")
        self.assertEqual((answer["rows"], answer["rows_exact"]), (len(logs.rows), True))
        self.assertEqual((answer["time_span"]["from"], answer["time_span"]["to"]),
                         (min(row["ts"] for row in logs.rows.values()), max(row["ts"] for row in logs.rows.values())))
        self.assertEqual(platform.must("GET", f"/v1/datasets/{name}_all")["rows"], logs.parsed)

    def test_every_receipt_says_what_became_of_its_lines(self):
        for seed in (1, 2, 3, 4):
            with self.subTest(seed=seed):
                name = f"truth_{seed}"
                self.put(name)
                logs = WebLogs(seed)
                receipts = []
                # The last one is large: an upload.
                for lines in (250, 400, 1_000, 300, 12_000 if seed % 2 else 2_000):
                    again = logs.random.sample(sorted(logs.rows), 15) if logs.rows else []
                    parsed = logs.parsed
                    body, counts = logs.request(lines, [logs.rows[rid] for rid in again])
                    receipts.append((self.send(name, body), counts, logs.parsed - parsed))
                    platform.wait_finished(name)
                for receipt, counts, parsed in receipts:
                    received, outputs = self.outputs(receipt)
                    mine, everything = outputs[name], outputs[f"{name}_all"]
                    self.assertEqual({"received": received, **{key: mine[key] for key in COUNTS[1:]}}, counts)
                    self.assertEqual([everything[key] for key in COUNTS[1:]],
                                     [parsed, 0, counts["received"] - parsed, 0])
                self.check(name, logs)
                if seed == 1:
                    # Run again over all of history it is the same.
                    run = platform.must("POST", f"/v1/pipelines/{name}/replay", json.dumps(ALWAYS))["run"]
                    deadline = time.monotonic() + 300
                    while (found := platform.must("GET", f"/v1/runs/{run}"))["state"] in ("queued", "running"):
                        self.assertLess(time.monotonic(), deadline)
                        time.sleep(0.02)
                    self.assertEqual(found["state"], "succeeded", found)
                    self.check(name, logs)
                    # Which of two doubles counts as stored depends on what was read first.
                    total = {key: sum(counts[key] for _, counts, _ in receipts) for key in COUNTS}
                    records = found["records"]
                    self.assertEqual((records["filtered"], records["quarantined"]),
                                     (total["filtered"], total["quarantined"]))
                    self.assertEqual(sum(records[key] for key in COUNTS[1:]), total["received"])
                    for receipt, counts, _ in receipts:
                        mine = self.outputs(receipt)[1][name]
                        self.assertEqual((mine["version"], mine["filtered"], mine["quarantined"]),
                                         (1, counts["filtered"], counts["quarantined"]))
                        self.assertEqual(sum(mine[key] for key in COUNTS[1:]), counts["received"])

    def test_requests_that_come_at_once_add_up(self):
        """Requests share batches, which are loaded in any order; of two doubles the earlier request's stays."""
        name = self.name
        self.put(name)
        parts = [WebLogs(100 + client, first=1 + client * 10**6) for client in range(6)]
        requests = []
        for part in parts:
            for lines in [part.random.randrange(200, 500) for _ in range(12)]:
                parsed, known = part.parsed, set(part.rows)
                body, counts = part.request(lines)
                requests.append((body, counts, part.parsed - parsed, set(part.rows) - known))
        # Each third request is sent twice.
        sent = [*range(len(requests)), *range(0, len(requests), 3)]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            receipts = list(pool.map(lambda number: self.send(name, requests[number][0], wait=False), sent))
        platform.wait_finished(name)
        answers = collections.defaultdict(list)
        for receipt, number in zip(receipts, sent):
            _, counts, parsed, _ = requests[number]
            received, outputs = self.outputs(receipt)
            mine, everything = outputs[name], outputs[f"{name}_all"]
            self.assertEqual([everything[key] for key in COUNTS[1:]], [parsed, 0, received - parsed, 0])
            self.assertEqual(received, counts["received"])
            self.assertEqual(mine["filtered"], counts["filtered"])
            self.assertEqual(mine["stored"] + mine["duplicates"] + mine["quarantined"] + mine["filtered"], received)
            answers[number].append((receipt, mine))
        batches = collections.defaultdict(set)
        for line in platform.sql(f"select _batch, rid from ws_default.{name}").splitlines():
            batch, rid = line.split("|")
            batches[int(batch)].add(int(rid))
        for number, found in answers.items():
            _, counts, _, rids = requests[number]
            # A receipt's text goes up with the batch and the place in it, which its last four digits are.
            (earlier, mine), *later = sorted(found, key=lambda answer: answer[0])
            self.assertEqual({key: mine[key] for key in COUNTS[1:]}, {key: counts[key] for key in COUNTS[1:]})
            self.assertLessEqual(rids, batches[self.batch_in(earlier)])
            for receipt, other in later:
                # It counts as stored where it came first and was replaced.
                self.assertIn(other["stored"], (0,) if receipt[:-4] == earlier[:-4] else (0, counts["stored"]))
        rows = {row["rid"]: row for row in self.rows(name)}
        expected = {rid: row for part in parts for rid, row in part.rows.items()}
        self.assertEqual(rows, expected)

    def batch_in(self, receipt):
        """The batch that a coalesced request's receipt names, in Crockford's base 32."""
        number = 0
        for digit in receipt[1:-4]:
            number = number * 32 + "0123456789abcdefghjkmnpqrstvwxyz".index(digit)
        return number

    def test_rows_of_dedupe_and_explode_are_counted_by_their_records(self):
        name = self.name
        platform.must("PUT", f"/v1/pipelines/{name}", json.dumps({
            "source": name, "target": {"dataset": name},
            "steps": [{"dedupe": {"by": ["id"], "keep": "last"}},
                      {"explode": {"column": "items", "position": "line", "empty": "filter"}},
                      {"filter": "items::text <> '0'"},
                      {"cast": {"items": "int8"}}, {"expect": {"small": "items < 100"}}]}))
        generator = random.Random(11)
        receipts = []
        rows = collections.Counter()
        for _ in range(6):
            counts = dict.fromkeys(COUNTS, 0)
            records, last = [], {}
            for place in range(generator.randrange(30, 200)):
                items = [generator.randrange(0, 60) for _ in range(generator.choice((0, 1, 2, 5)))]
                kind = generator.random()
                if kind < 0.05:
                    items = [0] * generator.choice((1, 3))
                elif kind < 0.10:
                    items = items + [100 + place]
                elif kind < 0.13:
                    items = items + ["x"]
                elif kind < 0.15:
                    items = "none"
                elif kind < 0.17:
                    items = None
                record = {"id": generator.randrange(100) if generator.random() < 0.8 else None, "items": items}
                records.append(record)
                counts["received"] += 1
                if record["id"] is not None:
                    if record["id"] in last:
                        counts["duplicates"] += 1
                    last[record["id"]] = record
            stored_rows = 0
            for record in records:
                if record["id"] is not None and last[record["id"]] is not record:
                    continue
                items = record["items"]
                if items == "none" or items and any(item == "x" or item >= 100 for item in items if item != 0):
                    counts["quarantined"] += 1
                elif not items or all(item == 0 for item in items):
                    counts["filtered"] += 1
                else:
                    counts["stored"] += 1
                    for line, item in enumerate(items, 1):
                        if item != 0:
                            rows[record["id"], item, line] += 1
                            stored_rows += 1
            body = "".join(json.dumps(record) + "\n" for record in records)
            receipt = platform.must("POST", f"/v1/ingest/{name}?wait=stored&timeout=60s", body,
                                    content_type="application/x-ndjson")["receipt"]
            receipts.append((receipt, counts, stored_rows))
        for receipt, counts, stored_rows in receipts:
            answer = platform.must("GET", f"/v1/receipts/{receipt}")
            self.assertEqual({key: answer[key] for key in COUNTS}, counts)
            ledger = platform.sql("select stored from millrace.application "
                                  f"where batch_id = {self.batch_of(answer)}")
            self.assertEqual(int(ledger), stored_rows)
        found = collections.Counter()
        for line in platform.sql(f"select concat_ws(' ', coalesce(id::text, '-'), items, line) from ws_default.{name}"
                                 ).splitlines():
            identity, item, place = line.split(" ")
            found[None if identity == "-" else int(identity), int(item), int(place)] += 1
        self.assertEqual(found, rows)
        quarantined = platform.must("GET", f"/v1/datasets/{name}/quarantine?limit=1000")["items"]
        self.assertEqual(len(quarantined), sum(counts["quarantined"] for _, counts, _ in receipts))

    def batch_of(self, receipt):
        items = platform.must("GET", f"/v1/batches?source={self.name}&limit=500")["items"]
        batch, = (item["id"] for item in items if item["received_at"] == receipt["received_at"])
        return batch


class Digits(unittest.TestCase):
    """Numbers come out as they went in: by psql, by the rows, by a query, for typed and inferred columns."""

    NUMBERS = {
        "i": ["9223372036854775807", "-9223372036854775808", "0", "-1", "9007199254740993"],
        "n": ["1" * 100, "-" + "9" * 60 + "." + "8" * 40, "0." + "0" * 30 + "7", "12345678901234567890.50",
              "-0.000"],
        "f": ["0.1", "5e-324", "1.7976931348623157e+308", "123456.789", "-2.2250738585072014e-308"],
    }

    def send(self, source, body, content_type):
        return platform.must("POST", f"/v1/ingest/{source}?wait=stored&timeout=60s", body, content_type=content_type)

    def rows(self):
        return [dict(zip(self.NUMBERS, values)) for values in zip(*self.NUMBERS.values())]

    def bodies(self):
        rows = self.rows()
        objects = ['{"i":%(i)s,"n":%(n)s,"f":%(f)s}' % row for row in rows]
        yield "ndjson", "application/x-ndjson", "\n".join(objects)
        yield "array", "application/json", "[" + ",\n".join(objects) + "]"
        yield "text", "application/x-ndjson", "".join('{"i":"%(i)s","n":"%(n)s","f":"%(f)s"}\n' % row for row in rows)
        yield "csv", "text/csv", "i,n,f\r\n" + "".join("%(i)s,%(n)s,%(f)s\r\n" % row for row in rows)
        yield "quoted", "text/csv", '\ufeff"i","n","f"\n' + "".join('"%(i)s","%(n)s","%(f)s"\n' % row for row in rows)

    def read(self, path, body=None):
        connection = platform.connect()
        try:
            headers = {"Authorization": f"Bearer {platform.key}", "Content-Type": "application/json"}
            connection.request("POST" if body else "GET", path, body=body, headers=headers)
            return json.loads(connection.getresponse().read(), parse_int=str, parse_float=str)
        finally:
            connection.close()

    def test_digits_are_kept(self):
        modes = (("append", []), ("upsert", ["i"]), ("ignore", ["i"]))
        for kind, content_type, body in self.bodies():
            for mode, key in modes:
                with self.subTest(kind=kind, mode=mode):
                    name = f"digits_{kind}_{mode}"
                    platform.must("PUT", f"/v1/datasets/{name}", json.dumps({
                        "columns": [{"name": "i", "type": "int8"}, {"name": "n", "type": "numeric"},
                                    {"name": "f", "type": "float8"}], "primary_key": key}))
                    platform.must("PUT", f"/v1/pipelines/{name}", json.dumps({
                        "source": name, "steps": [{"cast": {"i": "int8", "n": "numeric", "f": "float8"}},
                                                  {"derive": {"n2": "n + 0", "i2": "i - 0", "f2": "-(-f)"}}],
                        "target": {"dataset": name, "mode": mode}}))
                    self.assertEqual(self.send(name, body.encode(), content_type)["stored"], len(self.rows()))
                    self.check(name, ("i", "n", "f"), ("i2", "n2", "f2"))

    def test_digits_of_inferred_columns_are_kept(self):
        for kind, content_type, body in self.bodies():
            if kind == "text":
                continue
            with self.subTest(kind=kind):
                name = f"inferred_{kind}"
                self.assertEqual(self.send(name, body.encode(), content_type)["stored"], len(self.rows()))
                types = [column["type"] for column in platform.must("GET", f"/v1/datasets/{name}")["columns"]]
                self.assertEqual(types, ["int8", "numeric", "float8"])
                self.check(name, ("i", "n", "f"))

    def check(self, name, *columns):
        for i, n, f in columns:
            expected = [(row["i"], row["n"].replace("-0.000", "0.000"), float(row["f"])) for row in self.rows()]
            lines = platform.sql(f"select {i}, {n}, {f} from ws_default.{name} order by _row").splitlines()
            found = [line.split("|") for line in lines]
            self.assertEqual([(one, two, float(three)) for one, two, three in found], expected)
            # A float prints back as the shortest text that means it.
            self.assertEqual([three for _, _, three in found], [repr(f) for _, _, f in expected])
            items = self.read(f"/v1/datasets/{name}/rows?columns={i},{n},{f}")["items"]
            self.assertEqual([(item[i], item[n], float(item[f])) for item in items], expected)
            answer = self.read("/v1/query", json.dumps({"sql": f"select {i}, {n}, {f} from {name} order by _row"}))
            self.assertEqual([(one, two, float(three)) for one, two, three in answer["rows"]], expected)

    def test_formats_are_read_strictly(self):
        name = "strict_csv"
        body = ('\ufeffid,text\r\n1,"a ""quoted"" one"\r\n2,"two\r\nlines"\r\n3,""\r\n4,\r\n5, padded \r\n6,"a,b"\r\n'
                '7,x,y\r\n8\r\n9,last')
        answer = self.send(name, body.encode(), "text/csv")
        self.assertEqual([answer[key] for key in COUNTS], [9, 7, 0, 2, 0])
        rows = self.read(f"/v1/datasets/{name}/rows?columns=id,text")["items"]
        self.assertEqual([(row["id"], row["text"]) for row in rows], [
            ("1", 'a "quoted" one'), ("2", "two\r\nlines"), ("3", ""), ("4", None), ("5", " padded "), ("6", "a,b"),
            ("9", "last")])
        items = platform.must("GET", f"/v1/datasets/{name}/quarantine")["items"]
        self.assertEqual({item["raw"]: item["errors"][0]["code"] for item in items},
                         {"7,x,y": "csv_column_count", "8": "csv_column_count"})
        name = "strict_json"
        good = ['{"v": 1}', ' {"v" : "\\u00e9\\ud83e\\udd16\\n"} ', '{"v":{"a":[1,{"b":null}]}}', '{"v":1,"v":2}', "{}"]
        bad = {"{\"v\": 01}": "invalid_json", '{"v": 1,}': "invalid_json", "{'v': 1}": "invalid_json",
               '{"v": NaN}': "invalid_json", '{"v": 1} x': "invalid_json", '{"v": "\\ud83e"}': "lone_surrogate",
               '{"v": "\\u0000"}': "nul_character", '"v"': "not_an_object", "1": "not_an_object", '{"v": tru}':
               "invalid_json", '{"v": "\t"}': "invalid_json", '{"v": 1': "invalid_json"}
        body = "\n".join(good + list(bad)).encode() + b'\n{"v": "\xc3\x28"}\n'
        answer = self.send(name, body, "application/x-ndjson")
        self.assertEqual([answer[key] for key in COUNTS], [len(good) + len(bad) + 1, len(good), 0, len(bad) + 1, 0])
        items = platform.must("GET", f"/v1/datasets/{name}/quarantine")["items"]
        found = {item["raw"]: item["errors"][0]["code"] for item in items if "raw_base64" not in item}
        self.assertEqual(found, bad)
        broken, = (item for item in items if "raw_base64" in item)
        self.assertEqual((bytes_of(broken), broken["errors"][0]["code"]), (b'{"v": "\xc3\x28"}', "invalid_utf8"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
