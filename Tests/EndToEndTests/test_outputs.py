"""Pipelines with several outputs on the whole platform: routed records reach their datasets exactly once, receipts add
up, and a replay with other routes moves them, while services are killed in the middle."""

import json
import os
import signal
import sys
import threading
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from platform_under_test import Platform, wait_for  # noqa: E402
from ports import first_port  # noqa: E402
from table_locks import held  # noqa: E402

NDJSON = "application/x-ndjson"
ALWAYS = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
COUNTS = ("received", "stored", "filtered", "quarantined", "duplicates")
ROUTES = {"route": [{"when": "n % 10 = 1", "dataset": "{name}_ones"},
                    {"when": "n % 10 in (1, 2)", "dataset": "{name}_twos"}]}


def setUpModule():
    global platform
    platform = Platform(port=first_port(__file__)).__enter__()
    platform.wait_until_ready()


def tearDownModule():
    platform.__exit__()


class Outputs(unittest.TestCase):
    def setUp(self):
        # Each case has a source, a pipeline and datasets of its name.
        self.name = self.id().rsplit(".", 1)[1].removeprefix("test_")[:30]

    def put(self, *steps):
        text = json.dumps({"source": self.name, "steps": steps, "target": {"dataset": self.name}})
        return platform.must("PUT", f"/v1/pipelines/{self.name}", text.replace("{name}", self.name))

    def put_routes(self):
        """Of each ten records: one goes to `ones`, one to `twos`, 3 is filtered, 4 breaks what is expected."""
        return self.put({"cast": {"n": "int8"}}, ROUTES, {"filter": "n % 10 <> 3"},
                        {"expect": {"not_four": "n % 10 <> 4"}})

    @staticmethod
    def body(numbers):
        # Of each ten one is no object.
        return "".join(f'{{"n":{n}}}\n' if n % 10 != 7 else f"bad {n}\n" for n in numbers)

    def send(self, numbers):
        return platform.must("POST", f"/v1/ingest/{self.name}", self.body(numbers), content_type=NDJSON)["receipt"]

    def values(self, suffix=""):
        text = platform.sql("select coalesce(string_agg(n::text, ' ' order by n), '') "
                            f"from ws_default.{self.name}{suffix}")
        return [int(n) for n in text.split()]

    def where(self, count, digits):
        return [n for n in range(count) if n % 10 in digits]

    def receipt(self, receipt):
        return platform.must("GET", f"/v1/receipts/{receipt}")

    def replay(self):
        run = platform.must("POST", f"/v1/pipelines/{self.name}/replay", json.dumps(ALWAYS))["run"]
        return lambda: wait_for("the run ends", lambda: (found := platform.must("GET", f"/v1/runs/{run}"))[
            "state"] not in ("queued", "running") and found)

    def kill(self, service):
        command = f"millrace-{service}"
        pids = [pid for pid, line in platform.processes().items() if line.split(" ")[0].endswith(command)]
        self.assertEqual(len(pids), 1, platform.processes())
        os.kill(pids[0], signal.SIGKILL)

    def expect_routes(self, count):
        self.assertEqual(self.values(), self.where(count, (0, 5, 6, 8, 9)))
        self.assertEqual(self.values("_ones"), self.where(count, (1,)))
        self.assertEqual(self.values("_twos"), self.where(count, (2,)))

    def test_records_reach_their_datasets_and_receipts_add_up(self):
        self.put_routes()
        dry = platform.must("POST", f"/v1/pipelines/{self.name}/dry-run",
                            json.dumps({"records": [{"n": n} for n in range(10)]}))
        self.assertEqual([row["n"] for row in dry["rows"]], [0, 5, 6, 7, 8, 9])
        self.assertEqual([(one["output"], one["dataset"], one["rows"]) for one in dry["routed"]],
                         [(1, f"{self.name}_ones", [{"n": 1}]), (2, f"{self.name}_twos", [{"n": 2}])])
        self.assertEqual((dry["filtered"], len(dry["quarantined"])), ([{"n": 3}], 1))
        receipt = self.send(range(1000))
        platform.wait_finished(self.name)
        answer = self.receipt(receipt)
        self.assertEqual([answer["state"]] + [answer[name] for name in COUNTS], ["stored", 1000, 700, 100, 200, 0])
        self.assertEqual(
            [[o["dataset"], o["state"]] + [o[name] for name in COUNTS[1:]] for o in answer["outputs"]],
            [[self.name, "stored", 500, 100, 200, 0], [f"{self.name}_ones", "stored", 100, 0, 0, 0],
             [f"{self.name}_twos", "stored", 100, 0, 0, 0]])
        self.expect_routes(1000)
        # Where a record of a second output came from, and that its dataset is written to.
        batch, row = platform.sql(f"select _batch, _row from ws_default.{self.name}_twos where n = 12").split("|")
        item, = platform.must("GET", f"/v1/datasets/{self.name}_twos/lineage?batch={batch}&row={row}")["items"]
        self.assertEqual((item["output"], json.loads(item["raw"])), (2, {"n": 12}))
        status, answer = platform.call("DELETE", f"/v1/datasets/{self.name}_ones?confirm={self.name}_ones")
        self.assertEqual(status, 409, answer)

    def test_requests_that_share_a_batch_have_counts_of_their_own(self):
        self.put_routes()
        receipts = {}

        def send(number):
            receipts[number] = self.send(range(number * 10, number * 10 + number % 10 + 1))

        threads = [threading.Thread(target=send, args=(number,)) for number in range(60)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        platform.wait_finished(self.name)
        shared = platform.sql("select max(cardinality(receipt_ends)) from millrace.batch b join millrace.source s "
                              f"on s.id = b.source_id where s.name = '{self.name}'")
        self.assertGreater(int(shared), 1)
        for number, receipt in receipts.items():
            digits = range(number % 10 + 1)
            answer = self.receipt(receipt)
            bad = len({4, 7} & set(digits))
            self.assertEqual([answer[name] for name in COUNTS],
                             [len(digits), len(digits) - bad - (3 in digits), 3 in digits, bad, 0])
            self.assertEqual([o["stored"] for o in answer["outputs"]],
                             [len({0, 5, 6, 8, 9} & set(digits)), 1 in digits, 2 in digits])

    def test_a_replay_with_other_routes_moves_the_records(self):
        self.put_routes()
        receipts = [self.send(range(batch * 100, batch * 100 + 100)) for batch in range(10)]
        platform.wait_finished(self.name)
        self.expect_routes(1000)
        # Fewer outputs: what had been routed to `twos` goes to the target, `ones` has other records.
        self.put({"cast": {"n": "int8"}}, {"route": [{"when": "n % 10 = 9", "dataset": "{name}_ones"}]})
        run = self.replay()()
        self.assertEqual((run["state"], run["records"]["stored"], run["records"]["quarantined"]),
                         ("succeeded", 900, 100), run)
        self.assertEqual(self.values(), self.where(1000, (0, 1, 2, 3, 4, 5, 6, 8)))
        self.assertEqual(self.values("_ones"), self.where(1000, (9,)))
        self.assertEqual(self.values("_twos"), [])
        answer = self.receipt(receipts[0])
        self.assertEqual([answer[name] for name in COUNTS], [100, 90, 0, 10, 0])
        self.assertEqual([(o["version"], o["stored"]) for o in answer["outputs"]], [(2, 80), (2, 10)])
        # And more again.
        self.put_routes()
        self.assertEqual(self.replay()()["state"], "succeeded")
        self.expect_routes(1000)
        answer = self.receipt(receipts[0])
        self.assertEqual([answer[name] for name in COUNTS], [100, 70, 10, 20, 0])

    def test_services_are_killed_while_records_come_in_and_are_replayed(self):
        self.put_routes()
        receipts = []
        for batch in range(120):
            if batch in (30, 60, 90):
                platform.wait_until_ready()
                self.kill("store" if batch == 60 else "transform")
            receipts.append(self.send(range(batch * 100, batch * 100 + 100)))
        platform.wait_finished(self.name)
        self.expect_routes(12_000)
        platform.wait_until_ready()
        # The replay stands still in the middle of a transaction: some of a batch's outputs are replaced, one is not.
        with held(platform, f"ws_default.{self.name}_twos"):
            end = self.replay()
            wait_for("someone waits for the table", lambda: platform.sql(
                "select count(*) from pg_locks l where not granted "
                f"and relation = 'ws_default.{self.name}_twos'::regclass") != "0")
            self.expect_routes(12_000)
            self.kill("store")
        platform.wait_until_ready()
        self.assertEqual(end()["state"], "succeeded")
        self.expect_routes(12_000)
        for receipt in receipts:
            answer = self.receipt(receipt)
            self.assertEqual([answer[name] for name in COUNTS], [100, 70, 10, 20, 0])

    def put_lookup(self):
        """Joins the name of a country by its code; the Germans go to a dataset of theirs."""
        return self.put({"lookup": {"dataset": "{name}_countries", "on": {"country": "code"},
                                    "columns": {"name": "country_name"}, "missing": "quarantine"}},
                        {"derive": {"shout": "upper(country_name)"}},
                        {"route": [{"when": "country_name = 'Germany'", "dataset": "{name}_german"}]})

    def store_countries(self, *countries):
        body = "".join(json.dumps({"code": code, "name": name}) + "\n" for code, name in countries)
        answer = platform.must("POST", f"/v1/ingest/{self.name}_countries?wait=stored&timeout=60s", body,
                               content_type=NDJSON)
        self.assertEqual(answer["state"], "stored")

    def people(self, suffix=""):
        return platform.sql("select coalesce(string_agg(who || ' ' || shout, ',' order by who), '') "
                            f"from ws_default.{self.name}{suffix}")

    def test_rows_are_joined_to_a_dataset_and_routed_by_it(self):
        definition = {"source": self.name, "target": {"dataset": self.name}, "steps": [
            {"lookup": {"dataset": f"{self.name}_countries", "on": {"country": "code"}, "columns": {"nom": "n"}}}]}
        status, answer = platform.call("PUT", f"/v1/pipelines/{self.name}", json.dumps(definition))
        self.assertEqual((status, answer["errors"][0]["path"]), (422, "steps[0].lookup.dataset"), answer)
        self.store_countries(("de", "Deutschland"), ("fr", "France"), ("de", "Germany"))
        status, answer = platform.call("PUT", f"/v1/pipelines/{self.name}", json.dumps(definition))
        self.assertEqual((status, answer["errors"][0]["path"]), (422, "steps[0].lookup.columns.nom"), answer)
        self.put_lookup()
        records = [{"who": "anna", "country": "de"}, {"who": "bob", "country": "fr"}, {"who": "cyd", "country": "se"}]
        dry = platform.must("POST", f"/v1/pipelines/{self.name}/dry-run", json.dumps({"records": records}))
        self.assertEqual([row["country_name"] for row in dry["rows"]], ["France"])
        self.assertEqual([row["shout"] for row in dry["routed"][0]["rows"]], ["GERMANY"])
        self.assertEqual(dry["quarantined"][0]["errors"][0]["code"], "lookup_missing")
        body = "".join(json.dumps(record) + "\n" for record in records)
        answer = platform.must("POST", f"/v1/ingest/{self.name}?wait=stored&timeout=60s", body, content_type=NDJSON)
        self.assertEqual([answer[name] for name in COUNTS], [3, 2, 0, 1, 0])
        self.assertEqual((self.people(), self.people("_german")), ("bob FRANCE", "anna GERMANY"))
        status, refused = platform.call("DELETE", f"/v1/datasets/{self.name}_countries?confirm={self.name}_countries")
        self.assertEqual((status, self.name in refused["detail"]), (409, True), refused)
        # A replay finds what the dataset holds by then.
        self.store_countries(("se", "Sweden"), ("fr", "Germany"))
        run = self.replay()()
        self.assertEqual((run["state"], run["records"]["stored"], run["records"]["quarantined"]), ("succeeded", 3, 0))
        self.assertEqual((self.people(), self.people("_german")), ("cyd SWEDEN", "anna GERMANY,bob GERMANY"))
        outputs = self.receipt(answer["receipt"])["outputs"]
        self.assertEqual([(o["dataset"], o["stored"], o["quarantined"]) for o in outputs],
                         [(self.name, 1, 0), (f"{self.name}_german", 2, 0)])

    def test_branches_that_make_no_sense_are_refused_with_paths(self):
        cases = [
            ([], "steps[0].route"), ([{"when": "n = 1"}], "steps[0].route[0].dataset"),
            ([{"when": "n = 1", "dataset": "a"}, {"when": "n +", "dataset": "b"}], "steps[0].route[1].when"),
            ([{"when": "n = 1", "dataset": "a", "mode": "elsewhere"}], "steps[0].route[0].mode"),
        ]
        for branches, path in cases:
            definition = {"source": "s", "steps": [{"route": branches}], "target": {"dataset": "t"}}
            status, answer = platform.call("PUT", "/v1/pipelines/wrong", json.dumps(definition))
            self.assertEqual((status, answer["errors"][0]["path"]), (422, path), answer)


if __name__ == "__main__":
    unittest.main(verbosity=2)
