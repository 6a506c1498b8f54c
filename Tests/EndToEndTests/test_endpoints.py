"""Endpoints as their users meet them: published and called through the gateway, by curl's means and by a client that a
generator has made of the workspace's OpenAPI document."""

import datetime
import importlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from openapi_spec_validator import OpenAPIV31SpecValidator

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from platform_under_test import Platform  # noqa: E402
from ports import first_port  # noqa: E402

SALES = """
    select customer, count(*) as orders, sum(total::numeric) as total, max(at::timestamptz) as latest
    from shop
    where at::timestamptz >= {{from:timestamptz}} and ({{customer:text=null}} is null or customer = {{customer}})
    group by customer order by total desc limit {{n:int8=10}}"""
EVERY_TYPE = """
    select {{words:text='it''s'}} as words, {{whole:int8=7}} as whole, {{real:float8=0.5}} as real,
        {{exact:numeric=1.50}} as exact, {{flag:bool=true}} as flag, {{moment:timestamptz=2026-01-01}} as moment,
        {{day:date=2026-01-01}} as day, {{ident:uuid='a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'}} as ident,
        {{document:jsonb='{"a": 1}'}} as document, array[1, 2] as numbers"""


def setUpModule():
    global platform
    platform = Platform(port=first_port(__file__)).__enter__()
    platform.wait_until_ready()
    records = [{"customer": customer, "total": total, "at": f"2026-03-0{day}T10:00:00Z"}
               for customer, total, day in (("ada", "12.50", 1), ("ada", "7.25", 2), ("bob", "3.00", 3))]
    platform.must("POST", "/v1/ingest/shop?wait=stored", "\n".join(map(json.dumps, records)),
                  content_type="application/x-ndjson")
    for name, definition in (("sales", {"sql": SALES, "cache_ttl": "1h", "description": "Sales by customer"}),
                             ("every_type", {"sql": EVERY_TYPE})):
        platform.must("PUT", f"/v1/endpoints/{name}", json.dumps(definition))


def tearDownModule():
    platform.__exit__()


def get(path, **headers):
    """(status, headers, body) of a GET through the gateway."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{platform.port}{path}", headers={"Authorization": f"Bearer {platform.key}", **headers})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


class Endpoints(unittest.TestCase):
    def test_a_published_query_answers_with_bound_parameters(self):
        status, headers, body = get("/v1/endpoints/sales/data?from=2026-03-01&n=2")
        self.assertEqual(status, 200, body)
        self.assertEqual(json.loads(body), {"items": [
            {"customer": "ada", "orders": 2, "total": 19.75, "latest": "2026-03-02T10:00:00Z"},
            {"customer": "bob", "orders": 1, "total": 3.00, "latest": "2026-03-03T10:00:00Z"},
        ], "row_count": 2, "truncated": False})
        self.assertEqual(headers["Cache-Control"], "private, max-age=3600")
        same = "/v1/endpoints/sales/data?n=2&from=2026-03-01T01:00:00%2B01:00"
        again = get(same, **{"If-None-Match": headers["ETag"]})
        self.assertEqual((again[0], again[1]["ETag"], again[2]), (304, headers["ETag"], b""))
        self.assertRegex(again[1]["Age"], "^[0-9]+$")
        csv = get("/v1/endpoints/sales/data?from=2026-03-01&customer=bob", Accept="text/csv")
        self.assertEqual(csv[2].decode(), "customer,orders,total,latest\nbob,1,3.00,2026-03-03T10:00:00Z\n")
        lines = get("/v1/endpoints/sales/data?from=2026-03-03&format=ndjson&numbers=string")
        self.assertEqual([json.loads(line)["total"] for line in lines[2].splitlines()], ["3.00"])

    def test_hostile_values_are_values(self):
        for text in ("'; drop table shop; --", "' or ''='", "$1", "{{n:int8}}", "\\", "a\r\nX-Injected: 1",
                     "\U0001F600"):
            quoted = urllib.parse.quote(text, safe="")
            status, headers, body = get(f"/v1/endpoints/sales/data?from=2026-01-01&customer={quoted}")
            self.assertEqual((status, json.loads(body)["items"]), (200, []), text)
            self.assertNotIn("X-Injected", headers)
            echoed = json.loads(get(f"/v1/endpoints/every_type/data?words={quoted}")[2])
            self.assertEqual(echoed["items"][0]["words"], text)
        for query, faults in (("", ["from"]), ("?from=now&n=x&a=1", ["from", "n", "a"]), ("?from=%00", []),
                              ("?from=2026-01-01&from=2026-01-02", ["from"])):
            status, _, body = get(f"/v1/endpoints/sales/data{query}")
            problem = json.loads(body)
            self.assertEqual((status, problem["code"]), (400, "invalid_parameter"), query)
            self.assertEqual([fault["path"] for fault in problem.get("errors", [])], faults)
        self.assertIn(get("/v1/endpoints/sales/data?from=" + "1" * (1 << 20))[0], (414, 431))
        self.assertEqual(platform.sql("select count(*) from ws_default.shop"), "3")

    def test_calls_at_the_same_time_share_a_query_and_a_change_counts_at_once(self):
        slow = {"sql": "select count(*) as n from generate_series(1, {{n:int8}}) x, shop", "cache_ttl": "1h"}
        platform.must("PUT", "/v1/endpoints/slow", json.dumps(slow))
        answers = []
        callers = [threading.Thread(target=lambda: answers.append(get("/v1/endpoints/slow/data?n=500000")[2]))
                   for _ in range(64)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        self.assertEqual([json.loads(answer)["items"] for answer in answers], [[{"n": 1_500_000}]] * 64)
        with urllib.request.urlopen(f"http://127.0.0.1:{platform.port_of('analytics')}/metrics") as metrics:
            text = metrics.read().decode()
        series = 'millrace_endpoint_calls_total{workspace="default",endpoint="slow",status="200"} 64'
        self.assertIn(series, text.splitlines())
        platform.must("PUT", "/v1/endpoints/slow", json.dumps({**slow, "sql": slow["sql"] + " where false"}))
        self.assertEqual(json.loads(get("/v1/endpoints/slow/data?n=500000")[2])["items"], [{"n": 0}])
        self.assertEqual(platform.call("DELETE", "/v1/endpoints/slow")[0], 204)
        self.assertEqual(get("/v1/endpoints/slow/data?n=500000")[0], 404)

    def test_validators_and_generators_take_the_document(self):
        status, _, body = get("/v1/endpoints/openapi.json")
        document = json.loads(body)
        self.assertEqual(status, 200)
        OpenAPIV31SpecValidator(document).validate()
        self.assertLessEqual({"/v1/endpoints/sales/data", "/v1/endpoints/every_type/data"}, set(document["paths"]))
        with tempfile.TemporaryDirectory(prefix="millrace-") as folder:
            path = Path(folder) / "openapi.json"
            path.write_bytes(body)
            # What is made is not to be formatted.
            settings = Path(folder) / "settings.json"
            settings.write_text('{"post_hooks": []}')
            done = subprocess.run(
                [Path(sys.executable).with_name("openapi-python-client"), "generate", "--path", path, "--meta", "none",
                 "--output-path", Path(folder) / "made", "--config", settings, "--fail-on-warning"],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self.assertEqual(done.returncode, 0, done.stdout)
            sys.path.insert(0, folder)
            self.addCleanup(sys.path.remove, folder)
            self.call_generated()

    def call_generated(self):
        made = importlib.import_module("made")
        sales = importlib.import_module("made.api.endpoints.sales")
        every = importlib.import_module("made.api.endpoints.every_type")
        client = made.AuthenticatedClient(f"http://127.0.0.1:{platform.port}", platform.key)
        march = datetime.datetime(2026, 3, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))
        answer = sales.sync(client=client, from_=march, n=1)
        self.assertEqual([(item.customer, item.orders, item.total) for item in answer.items], [("ada", 2, 19.75)])
        self.assertEqual(answer.items[0].latest, datetime.datetime(2026, 3, 2, 10, tzinfo=datetime.timezone.utc))
        # What is left out takes the document's defaults; what is given arrives as it was.
        item = every.sync(client=client).items[0]
        self.assertEqual((item.words, item.whole, item.real, item.exact, item.flag), ("it's", 7, 0.5, 1.5, True))
        self.assertEqual((item.day, item.document, item.numbers), (datetime.date(2026, 1, 1), {"a": 1}, [1, 2]))
        self.assertEqual(str(item.ident), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")
        item = every.sync(client=client, words="a&b+c", whole=2**53 + 1, flag=False, moment=march).items[0]
        self.assertEqual((item.words, item.whole, item.flag, item.moment), ("a&b+c", 2**53 + 1, False, march))


if __name__ == "__main__":
    unittest.main(verbosity=2)
