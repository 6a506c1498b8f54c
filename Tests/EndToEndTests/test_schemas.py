"""Schemas that move on the whole platform: inference, names that are hostile, tables that are full, definitions that
change while records come in; and several processes that add columns while readers hold the table."""

import concurrent.futures
import csv
import io
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
import unicodedata
import unittest
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from platform_under_test import PSQL, Platform  # noqa: E402
from ports import first_port  # noqa: E402

NDJSON, CSV = "application/x-ndjson", "text/csv"
COUNTS = ("received", "stored", "filtered", "quarantined", "duplicates")


def setUpModule():
    global platform
    platform = Platform(port=first_port(__file__)).__enter__()
    platform.wait_until_ready()


def tearDownModule():
    platform.__exit__()


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


class Schemas(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.name = self.id().rsplit(".", 1)[1].removeprefix("test_")[:40]

    def send(self, records, source=None, content_type=NDJSON):
        body = records if isinstance(records, str) else "".join(json.dumps(record) + "\n" for record in records)
        return platform.must("POST", f"/v1/ingest/{source or self.name}?wait=stored&timeout=60s", body.encode(),
                             content_type=content_type)

    def counts(self, answer):
        return [answer[name] for name in COUNTS]

    def put(self, definition, dataset=None):
        return platform.call("PUT", f"/v1/datasets/{dataset or self.name}", json.dumps(definition))

    def columns(self, dataset=None):
        found = platform.must("GET", f"/v1/datasets/{dataset or self.name}")["columns"]
        return {column["name"]: column["type"] for column in found if column["state"] == "applied"}

    def sql(self, select):
        return platform.sql(f"select {select} from ws_default.{self.name} t")

    def text(self, path, accept="application/json"):
        connection = platform.connect()
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {platform.key}", "Accept": accept})
            answer = connection.getresponse()
            self.assertEqual(answer.status, 200)
            return answer.read().decode()
        finally:
            connection.close()

    # Inference

    def test_types_are_inferred_from_what_there_is(self):
        # Nulls say nothing: the row is stored, its column comes with the first value.
        self.assertEqual(self.counts(self.send([{"a": None}, {}])), [2, 2, 0, 0, 0])
        self.assertEqual(self.columns(), {})
        self.assertEqual(self.counts(self.send([{"a": None}, {"a": 1}])), [2, 2, 0, 0, 0])
        self.assertEqual(self.columns(), {"a": "int8"})
        body = '{"big": 9223372036854775808, "both": 1, "wide": 9007199254740993, "mixed": 1, "huge": 1e400, ' \
            '"at": "2026-01-01T00:00:00Z", "odd": "2026-01-01T00:00:00Z", "bare": "2026-01-01", "flag": true}\n' \
            '{"big": 1, "both": 1.5, "wide": 0.5, "mixed": "x", "huge": 1, ' \
            '"at": "2026-01-01t01:00:00.123456+01:00", "odd": "2026-01-01T00:00:00", "bare": "2026-01-02", "flag": 1}\n'
        self.assertEqual(self.counts(self.send(body)), [2, 2, 0, 0, 0])
        self.assertEqual(self.columns(), {
            "a": "int8", "big": "numeric", "both": "float8", "wide": "numeric", "mixed": "jsonb", "huge": "numeric",
            "at": "timestamptz", "odd": "text", "bare": "text", "flag": "jsonb"})
        self.assertEqual(self.sql("string_agg(concat_ws(' ', big, \"both\", wide, mixed, at at time zone 'UTC', flag), "
                                  "', ' order by big desc) filter (where big is not null)"),
                         "9223372036854775808 1 9007199254740993 1 2026-01-01 00:00:00 true, "
                         '1 1.5 0.5 "x" 2026-01-01 00:00:00.123456 1')
        # A time is what would have been inferred as one; where the column is declared, what PostgreSQL reads as one.
        spellings = ["2026-03-01T09:00:00.000Z", "2026-03-01 10:00:00+01:00", "2026-03-01 09:00",
                     "1 March 2026 09:00 UTC", "20260301T090000Z", "soon"]
        self.assertEqual(self.counts(self.send([{"at": text} for text in spellings])), [6, 6, 0, 0, 0])
        times = "count(*) filter (where at = '2026-03-01 09:00+00'), string_agg(at__text, ', ' order by _batch, _row)"
        self.assertEqual(self.sql(times), "2|" + ", ".join(spellings[2:]))
        self.name += "_declared"
        platform.must("PUT", f"/v1/datasets/{self.name}", json.dumps({
            "columns": [{"name": "at", "type": "timestamptz"}], "on_type_mismatch": "variant"}))
        self.assertEqual(self.counts(self.send([{"at": text} for text in spellings])), [6, 6, 0, 0, 0])
        self.assertEqual(self.sql(times), "5|soon")

    def test_a_batch_without_rows_makes_no_columns(self):
        platform.must("PUT", f"/v1/pipelines/{self.name}", json.dumps(
            {"source": self.name, "steps": [{"filter": "a > 1"}], "target": {"dataset": self.name}}))
        self.assertEqual(self.counts(self.send([{"a": 1, "b": 2}])), [1, 0, 1, 0, 0])
        self.assertEqual(self.columns(), {})
        self.assertEqual(json.loads(self.text(f"/v1/datasets/{self.name}/rows"))["items"], [])
        self.assertEqual(self.counts(self.send([{"a": 2, "c": "x"}])), [1, 1, 0, 0, 0])
        self.assertEqual(self.columns(), {"a": "int8", "c": "text"})

    def test_numbers_that_no_type_holds_are_turned_down_alone(self):
        body = '{"n": 1}\n{"n": 1e200000}\n{"n": 2}\n'
        self.assertEqual(self.counts(self.send(body)), [3, 2, 0, 1, 0])
        item, = platform.must("GET", f"/v1/datasets/{self.name}/quarantine")["items"]
        self.assertEqual((item["errors"][0]["code"], item["raw"]), ("number_out_of_range", '{"n": 1e200000}'))

    # Names

    GOOD = ['a"b', "a'b", "select", "user", "Order", "order", "ORDER", "ünïcödé", "表", "\U0001f389", "a b", "a.b",
            "a,b", "a\\b", "x" * 63, "é" * 31, "oid", " ", "a\nb", "%s", "$1", "; drop table", "-- x", "id.asc", "0",
            "true", "null", "a:b", "{}", "é", "ﬁ", "fi", "ctid ", "CTID"]
    BAD = ["x" * 64, "é" * 32, "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "_x", "_batch", "_extra", "", "_"]

    def test_hostile_names_are_columns_or_kept_beside_them(self):
        record = {name: number for number, name in enumerate(self.GOOD + self.BAD)}
        good = {name: record[name] for name in self.GOOD}
        bad = {name: record[name] for name in self.BAD}
        self.assertEqual(len(record), len(self.GOOD + self.BAD))
        self.assertEqual(self.counts(self.send([record])), [1, 1, 0, 0, 0])
        self.assertEqual(self.columns(), {name: "int8" for name in self.GOOD})
        stored = json.loads(self.sql("to_jsonb(t) - '{_batch,_row,_out}'::text[]"))
        self.assertEqual(stored, {**good, "_extra": bad})
        # Values of another type, and rows that lack the columns.
        other = {name: f"v {name}" for name in self.GOOD}
        self.assertEqual(self.counts(self.send([other, {"Order": 5}])), [2, 2, 0, 0, 0])
        stored = json.loads(self.sql("jsonb_agg(jsonb_strip_nulls(to_jsonb(t)) order by _batch, _row)"))[1]
        found = {**stored.get("_extra", {}), **{name.removesuffix("__text"): value for name, value in stored.items()
                                                if name.endswith("__text")}}
        self.assertEqual(found, other)
        # They come back by every way there is.
        items = json.loads(self.text(f"/v1/datasets/{self.name}/rows?limit=1"))["items"]
        self.assertEqual({name: items[0][name] for name in self.GOOD}, good)
        first, = list(csv.DictReader(io.StringIO(self.text(f"/v1/datasets/{self.name}/rows?limit=1", "text/csv"),
                                                 newline="")))
        self.assertEqual({name: first[name] for name in self.GOOD}, {name: str(good[name]) for name in self.GOOD})
        for name in ('a"b', "Order", "表", "ctid ", "; drop table"):
            where = quote(f"{quoted(name)} = {good[name]}")
            items = json.loads(self.text(f"/v1/datasets/{self.name}/rows?where={where}&columns={quote(name)}"))["items"]
            self.assertEqual(items, [{name: good[name]}])
        answer = platform.must("POST", "/v1/query", json.dumps({"sql": f"select * from {self.name} limit 1"}))
        self.assertEqual({column["name"] for column in answer["columns"]} - set(self.columns()),
                         {"_extra", "_batch", "_row", "_out"})

    def test_hostile_names_in_a_csv_header(self):
        names = ['a"b', "line\nend", "ctid", "_x", "", "a,b", "x" * 70, "Ä", "a\tb"]
        text = io.StringIO()
        csv.writer(text).writerows([names, [str(number) for number in range(len(names))]])
        self.assertEqual(self.counts(self.send(text.getvalue(), content_type=CSV)), [1, 1, 0, 0, 0])
        row = json.loads(self.sql("to_jsonb(t) - '{_batch,_row,_out}'::text[]"))
        extra = row.pop("_extra")
        self.assertEqual(row, {'a"b': 0, "line\nend": 1, "a,b": 5, "Ä": 7, "a\tb": 8})
        self.assertEqual({name: str(value) for name, value in extra.items()},
                         {"ctid": "2", "_x": "3", "": "4", "x" * 70: "6"})

    def test_names_that_steps_find_in_values(self):
        platform.must("PUT", f"/v1/pipelines/{self.name}", json.dumps(
            {"source": self.name, "steps": [{"parse": {"format": "query_string", "from": "q"}}],
             "target": {"dataset": self.name}}))
        queries = ["ctid=1&a=2", "%00=3&a=4", "_batch=5&a=6", "a%00b=7&a=8", "%ff=9&a=10", f"{'y' * 80}=11&a=12",
                   "e%CC%81=13&%C3%A9=14&a=16"]
        self.assertEqual(self.counts(self.send([{"q": query} for query in queries])), [len(queries)] * 2 + [0, 0, 0])
        # What does not decode to text stays as it is written. Of two that look the same the first is a column.
        rows = json.loads(self.sql("jsonb_agg(jsonb_strip_nulls(to_jsonb(t) - '{_batch,_row,_out}'::text[]) "
                                   "order by _row)"))
        self.assertEqual(rows, [
            {"a": 2, "_extra": {"ctid": "1"}}, {"a": 4, "%00": 3}, {"a": 6, "_extra": {"_batch": "5"}},
            {"a": 8, "a%00b": 7}, {"a": 10, "%ff": 9}, {"a": 12, "_extra": {"y" * 80: "11"}},
            {"a": 16, "e\u0301": 13, "_extra": {"\u00e9": "14"}}])

    def test_spellings_that_look_the_same_are_one_column(self):
        composed, decomposed = "caf\u00e9", "cafe\u0301"
        self.assertEqual(unicodedata.normalize("NFC", decomposed), composed)
        self.assertEqual(self.counts(self.send([{composed: 1}, {decomposed: 2}])), [2, 2, 0, 0, 0])
        self.assertEqual(self.counts(self.send([{decomposed: 3}])), [1, 1, 0, 0, 0])
        self.assertEqual(self.columns(), {composed: "int8"})
        self.assertEqual(json.loads(self.sql(
            "jsonb_agg(jsonb_strip_nulls(to_jsonb(t) - '{_batch,_row,_out}'::text[]) order by _batch, _row)")),
            [{composed: 1}, {"_extra": {decomposed: 2}}, {"_extra": {decomposed: 3}}])
        status, answer = self.put({"columns": [{"name": decomposed, "type": "int8"}]})
        self.assertEqual((status, answer["code"], answer["errors"][0]["path"]),
                         (409, "incompatible_change", "columns[0].name"), answer)

    def test_names_that_no_column_can_have_are_refused_where_declared(self):
        for name in [name for name in self.BAD if name] + ["a\u0000b"]:
            status, answer = self.put({"columns": [{"name": name, "type": "text"}]})
            self.assertIn(status, (400, 422), answer)
            definition = {"source": "s", "steps": [{"derive": {name: "1"}}], "target": {"dataset": "t"}}
            status, answer = platform.call("PUT", f"/v1/pipelines/{self.name}", json.dumps(definition))
            self.assertIn(status, (400, 422), answer)

    # Limits

    def test_a_thousand_keys_become_two_hundred_columns(self):
        generator = random.Random(7)
        sent = {number: f"k{generator.randrange(1_000):03}" for number in range(500)}
        batches = [[{"id": number, sent[number]: number} for number in range(first, first + 25)]
                   for first in range(0, 500, 25)]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for answer in pool.map(self.send, batches):
                self.assertEqual(self.counts(answer), [25, 25, 0, 0, 0])
        self.assertEqual(len(self.columns()), 200)
        rows = json.loads(self.sql("jsonb_agg(jsonb_strip_nulls(to_jsonb(t) - '{_batch,_row,_out}'::text[]))"))
        self.assertEqual({row["id"]: {key: value for key, value in {**row, **row.get("_extra", {})}.items()
                                      if key not in ("id", "_extra")} for row in rows},
                         {number: {key: number} for number, key in sent.items()})

    def test_a_table_has_room_for_so_many_columns(self):
        def declare(low, high):
            return self.put({"columns": [{"name": f"c{n}", "type": "text"} for n in range(low, high)]})

        self.assertEqual(declare(0, 1_000)[0], 201)
        self.assertEqual(self.send([{"c0": "x"}])["stored"], 1)
        # Those that are not declared any more stay; in the end there is no room for others.
        status, answer = declare(1_000, 2_000)
        self.assertEqual((status, answer["code"], answer["errors"][0]["path"]),
                         (409, "incompatible_change", "columns"), answer)
        self.assertEqual(declare(1_000, 1_580)[0], 200)
        self.assertEqual(self.send([{"c0": "y", "c1579": "z", "n1": 1, "n2": 2}])["stored"], 1)
        self.assertEqual(len(self.columns()), 1_580)
        self.assertEqual(self.sql("string_agg(c1579 || _extra::text, '')"), 'z{"n1": 1, "n2": 2}')
        # A row that is too wide for a page is turned down, its neighbours are stored.
        wide = {f"c{n}": f"{n} {'w' * 40}" for n in range(1_580)}
        self.assertEqual(self.counts(self.send([{"c1": "a"}, wide, {"c1": "b"}])), [3, 2, 0, 1, 0])
        item, = platform.must("GET", f"/v1/datasets/{self.name}/quarantine")["items"]
        self.assertEqual((item["stage"], json.loads(item["raw"])), ("store", wide))
        self.assertIn("too big", item["errors"][0]["message"])

    def test_a_column_that_is_not_declared_any_more_may_be_missing(self):
        columns = [{"name": "a", "type": "int8"}, {"name": "must", "type": "int8", "nullable": False}]
        self.assertEqual(self.put({"columns": columns})[0], 201)
        self.assertEqual(self.counts(self.send([{"a": 1, "must": 1}, {"a": 2}])), [2, 1, 0, 1, 0])
        self.assertEqual(self.put({"columns": columns[:1]})[0], 200)
        deadline = time.monotonic() + 20
        while self.send([{"a": 3}])["stored"] == 0:
            self.assertLess(time.monotonic(), deadline, "the column is asked for still")
        self.assertEqual(self.sql("count(*) filter (where must is null)"), "1")

    # Changes while records come in

    def stream(self, record, seconds=None, clients=4):
        """Sends records from several clients until told to stop; gives receipts with the numbers sent."""
        receipts, faults = {}, []
        ended = threading.Event()
        numbers = iter(range(10**9))
        lock = threading.Lock()

        def client():
            try:
                while not ended.is_set():
                    with lock:
                        batch = [next(numbers) for _ in range(20)]
                    body = "".join(json.dumps(record(n)) + "\n" for n in batch)
                    receipt = platform.must("POST", f"/v1/ingest/{self.name}", body, content_type=NDJSON)["receipt"]
                    with lock:
                        receipts[receipt] = batch
            except BaseException as error:
                faults.append(error)

        threads = [threading.Thread(target=client) for _ in range(clients)]
        for thread in threads:
            thread.start()

        def stop():
            ended.set()
            for thread in threads:
                thread.join()
            self.assertEqual(faults, [])
            platform.wait_finished(self.name)
            return receipts

        return stop

    def wait_stored(self, count, version=None):
        deadline = time.monotonic() + 60
        by = "" if version is None else f" and a.version = {version}"
        while platform.sql(f"select (coalesce(sum(stored + quarantined), 0) >= {count}) from millrace.application a "
                           f"join millrace.source s on s.id = a.source_id where s.name = '{self.name}'{by}") != "t":
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def test_a_pipeline_masks_casts_and_refuses_otherwise_while_records_come_in(self):
        versions = [
            [], [{"mask": {"ip": "sha256"}}], [{"mask": {"ip": "redact"}}, {"derive": {"n2": "n * 2"}}],
            [{"expect": {"even": "n % 2 = 0"}}], [{"derive": {"ip": "n * 1.5"}}]]
        checks = ["ip ~ '^10\\.'", "ip ~ '^[0-9a-f]{64}$'", "ip = '***' and n2 = n * 2", "ip ~ '^10\\.' and n % 2 = 0",
                  "ip = (n * 1.5)::text"]

        def put(steps):
            platform.must("PUT", f"/v1/pipelines/{self.name}", json.dumps(
                {"source": self.name, "steps": [{"cast": {"n": "int8"}}] + steps, "target": {"dataset": self.name}}))

        put(versions[0])
        stop = self.stream(lambda n: {"n": n, "ip": f"10.0.0.{n % 256}"})
        for number, steps in enumerate(versions[1:], 1):
            self.wait_stored(400, version=number)
            put(steps)
        self.wait_stored(400, version=len(versions))
        receipts = stop()
        sent = [n for batch in receipts.values() for n in batch]
        for receipt, batch in receipts.items():
            answer = platform.must("GET", f"/v1/receipts/{receipt}")
            version = answer["outputs"][0]["version"]
            odd = sum(n % 2 for n in batch) if version == 4 else 0
            self.assertEqual(self.counts(answer), [20, 20 - odd, 0, odd, 0], answer)
        for version, check in enumerate(checks, 1):
            found, wrong = platform.sql(
                f"select count(*), count(*) filter (where not coalesce({check}, false)) from ws_default.{self.name} t "
                f"join millrace.application a on a.batch_id = t._batch join millrace.source s on s.id = a.source_id "
                f"where s.name = '{self.name}' and a.version = {version}").split("|")
            self.assertGreater(int(found), 0, f"nothing was stored by version {version}")
            self.assertEqual(wrong, "0", f"version {version}: {check}")
        kept = int(self.sql("count(distinct n)"))
        quarantined = int(platform.sql(
            "select count(*) from landing.quarantine q join millrace.dataset d on d.id = q.dataset_id "
            f"where d.name = '{self.name}'"))
        self.assertEqual(kept + quarantined, len(sent))

    def test_a_datasets_settings_change_while_records_come_in(self):
        columns = [{"name": "n", "type": "int8"}, {"name": "v", "type": "int8"}]
        self.assertEqual(self.put({"columns": columns})[0], 201)
        stop = self.stream(lambda n: {"n": n, "v": n if n % 2 else f"t{n}", **({f"x{n % 7}": n} if n % 3 == 0 else {})})
        changes = [{"on_new_column": new, "on_type_mismatch": mismatch}
                   for new in ("extra", "quarantine", "add") for mismatch in ("null", "variant", "quarantine")]
        for number, change in enumerate(changes, 1):
            self.wait_stored(number * 200)
            more = [{"name": f"x{number % 7}", "type": "int8"}] if number % 2 else []
            status, answer = self.put({"columns": columns + more, **change})
            self.assertEqual(status, 200, answer)
        self.wait_stored(len(changes) * 200 + 400)
        receipts = stop()
        sent = {n for batch in receipts.values() for n in batch}
        for receipt in receipts:
            answer = self.counts(platform.must("GET", f"/v1/receipts/{receipt}"))
            self.assertEqual((answer[0], answer[1] + answer[3]), (20, 20), answer)
        rows = json.loads(self.sql("jsonb_agg(jsonb_strip_nulls(to_jsonb(t) - '{_batch,_row,_out}'::text[]))"))
        items = json.loads(platform.sql(
            "select coalesce(jsonb_agg(convert_from(q.raw, 'UTF8')::jsonb), '[]') from landing.quarantine q "
            f"join millrace.dataset d on d.id = q.dataset_id where d.name = '{self.name}'"))
        self.assertEqual(sorted([row["n"] for row in rows] + [item["n"] for item in items]), sorted(sent))
        for row in rows:
            n, all_ = row["n"], {**row, **row.get("_extra", {})}
            self.assertIn(all_.get("v", all_.get("v__text")), (n,) if n % 2 else (f"t{n}", None))
            if n % 3 == 0:
                self.assertEqual(all_[f"x{n % 7}"], n, "a value was lost")

    def test_a_type_changes_before_the_first_row(self):
        """Who comes first decides: the type changes as long as there is no row, and no row is lost by it."""
        changed = 0
        for turn in range(12):
            name = f"{self.name[:30]}_{turn}"
            self.assertEqual(self.put({"columns": [{"name": "v", "type": "int8"}]}, name)[0], 201)
            bodies = ["".join(f'{{"v": "{n}"}}\n' for n in range(batch * 10, batch * 10 + 10)) for batch in range(4)]
            with concurrent.futures.ThreadPoolExecutor(5) as pool:
                answers = [pool.submit(self.send, body, name) for body in bodies]
                if turn % 2:
                    answers[0].result()
                status, answer = self.put({"columns": [{"name": "v", "type": "text"}]}, name)
                self.assertIn((status, answer.get("code")), ((200, None), (409, "incompatible_change")), answer)
                for answer in answers:
                    self.assertEqual(self.counts(answer.result()), [10, 10, 0, 0, 0])
            changed += status == 200
            self.assertEqual(self.columns(name), {"v": "text" if status == 200 else "int8"})
            found = platform.sql(f"select count(distinct v::int), max(v::int) from ws_default.{name}")
            self.assertEqual(found, "40|39")
        self.assertIn(changed, range(1, 12), "both have to have happened")

    # Several processes

    def start_workers(self):
        """A second process of transform and of store, which only work."""
        workers = []
        for number, service in enumerate(("transform", "store")):
            pid, = (pid for pid, line in platform.processes().items()
                    if line.split(" ")[0].endswith(f"millrace-{service}"))
            process = Path(f"/proc/{pid}")
            command, folder = os.readlink(process / "exe"), os.readlink(process / "cwd")
            environment = dict(item.split("=", 1) for item in (process / "environ").read_text().split("\0")
                               if "=" in item)
            environment |= {"MILLRACE_ROLE": "worker",
                            f"MILLRACE_{service.upper()}_PORT": str(platform.port + 8 + number)}
            workers.append(subprocess.Popen([command], env=environment, stdin=subprocess.DEVNULL, cwd=folder,
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return workers

    def deadlocks(self):
        return int(platform.sql("select deadlocks from pg_stat_database where datname = current_database()"))

    def test_several_processes_add_the_same_columns_and_others(self):
        before = self.deadlocks()
        workers = self.start_workers()
        try:
            faults = []
            rounds, clients = 12, 8

            def client(number):
                try:
                    for turn in range(rounds):
                        # All bring `shared_…` in the same moment, half with another type; and one of their own.
                        value = turn if number % 2 else f"t{turn}"
                        record = {"client": number, "turn": turn, f"shared_{turn}": value, f"own_{number}_{turn}": 1}
                        barrier.wait(60)
                        answer = self.send([record] * 5)
                        self.assertEqual(self.counts(answer), [5, 5, 0, 0, 0], answer)
                except BaseException as error:
                    faults.append(error)
                    barrier.abort()

            barrier = threading.Barrier(clients)
            threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(faults, [])
            self.assertTrue(all(worker.poll() is None for worker in workers), "a worker has ended")
        finally:
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.communicate(timeout=60)
        self.assertEqual(self.deadlocks(), before)
        self.assertEqual(self.sql("count(*), count(distinct (client, turn))"),
                         f"{clients * rounds * 5}|{clients * rounds}")
        columns = platform.must("GET", f"/v1/datasets/{self.name}")["columns"]
        names = [column["name"] for column in columns]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual([column["state"] for column in columns if column["state"] != "applied"], [])
        for row in json.loads(self.sql("jsonb_agg(jsonb_strip_nulls(to_jsonb(t)))")):
            turn, number = row["turn"], row["client"]
            values = {f"{row[name]}" for name in row if name.split("__")[0] == f"shared_{turn}"}
            self.assertEqual(values, {str(turn) if number % 2 else f"t{turn}"}, row)
            self.assertEqual(row[f"own_{number}_{turn}"], 1)

    def test_readers_and_loaders_go_on_while_a_column_waits_for_the_table(self):
        self.assertEqual(self.send([{"n": 0}])["stored"], 1)
        took = {"read": [], "load": []}
        faults = []
        ended = threading.Event()

        def again(kind, act):
            try:
                while not ended.is_set():
                    began = time.monotonic()
                    act()
                    took[kind].append(time.monotonic() - began)
            except BaseException as error:
                faults.append(error)

        def read():
            platform.must("POST", "/v1/query", json.dumps({"sql": f"select count(*) from {self.name}"}))

        holder = subprocess.Popen([PSQL, "-XAtq", "-h", platform.socket, "-U", "postgres", "-d", "millrace"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        threads = [threading.Thread(target=again, args=("read", read)),
                   threading.Thread(target=again, args=("load", lambda: self.send([{"n": len(took["load"])}])))]
        try:
            holder.stdin.write("begin isolation level repeatable read; "
                               f"select 'held' from ws_default.{self.name} limit 1;\n")
            holder.stdin.flush()
            self.assertEqual(holder.stdout.readline().strip(), "held")
            for thread in threads:
                thread.start()
            platform.must("POST", f"/v1/ingest/{self.name}", '{"late": 1}\n', content_type=NDJSON)
            # The reader holds the table for good: what waits gives the column up.
            deadline = time.monotonic() + 60
            while not faults and self.sql("count(*) filter (where _extra->>'late' = '1')") == "0":
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.05)
        finally:
            ended.set()
            for thread in threads:
                thread.join()
            holder.communicate("rollback;\n")
        self.assertEqual(faults, [])
        platform.wait_finished(self.name)
        # A lock is waited for half a second at most; the rest is what a busy machine takes, now and then for long.
        for kind, least, usual in (("read", 50, 1.0), ("load", 10, 2.0)):
            print(f"while a column waited: {len(took[kind])} {kind}s, at most {max(took[kind])} s", file=sys.stderr)
            self.assertGreater(len(took[kind]), least)
            self.assertLess(statistics.median(took[kind]), usual)
            self.assertLess(max(took[kind]), 15.0)
        self.assertEqual(self.sql("count(*) filter (where _extra->>'late' = '1')"), "1")
        self.assertEqual(self.sql("count(n)"), str(1 + len(took["load"])))
        # The next definition gives the column another try.
        self.assertEqual(self.put({"columns": [{"name": "late", "type": "int8"}]})[0], 200)
        deadline = time.monotonic() + 30
        number = 2
        while self.columns().get("late") != "int8":
            self.assertLess(time.monotonic(), deadline)
            self.send([{"late": number}])
        self.assertGreaterEqual(int(self.sql("count(late)")), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
