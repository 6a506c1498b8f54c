"""Who may do what: every operation of all four services, taken from their documents, with every sort of key that should
not do; and keys and workspaces from their making to their end, on the platform as it runs."""

import hashlib
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from event_client import Events, Gone  # noqa: E402
from platform_under_test import PSQL, SERVICES, Platform, wait_for  # noqa: E402
from ports import first_port  # noqa: E402

NDJSON = "application/x-ndjson"
# In what the first workspace has, and nowhere else: no answer to another workspace's key may have it.
CANARY = "canary7f3a"
# All that anybody may ask for, each with why.
PUBLIC = {
    "/healthz": "probes have no key", "/readyz": "probes have no key", "/metrics": "scraped; the gateway hides it",
    "/openapi.json": "says nothing but what is documented", "/": "the console's page holds no data",
    "/console/{path}": "the console's files hold no data", "/v1/session": "where a key is exchanged",
    "/console": "its page", "/console-libraries/chart.js": "the folder", "/console-libraries/codemirror": "the folder",
    "/console-libraries/chart.js/{path}": "Debian's files", "/console-libraries/codemirror/{path}": "Debian's files",
}
# Operations that another workspace's key may have done, each with what it does there instead of here.
ELSEWHERE = {
    "POST /v1/ingest/{source}": "makes a source of its own",
    "POST /v1/query": "asks its own datasets",
    "GET /v1/endpoints/openapi.json": "its own endpoints",
    "POST /v1/keys": "makes a key of its own",
}


def setUpModule():
    global platform, operations, resources, keys
    platform = Platform(port=first_port(__file__)).__enter__()
    try:
        platform.wait_until_ready()
        operations = described()
        resources = seed()
        platform.must("PUT", "/v1/workspaces/other", json.dumps({"description": "another tenant"}))
        keys = {"other": make(["admin"], workspace="other")}
    except BaseException:
        tearDownModule()
        raise


def tearDownModule():
    platform.__exit__()


def described():
    """[(service, method, path, operation)] of all services, out of their own documents."""
    found = []
    for service in SERVICES:
        status, document = call("GET", "/openapi.json", key=None, service=service)
        assert status == 200, service
        for path, methods in document["paths"].items():
            found += [(service, method.upper(), path, operation) for method, operation in methods.items()]
    assert len(found) > 80, "the documents are not whole"
    return found


def call(method, path, body=None, key="", service=None, content_type="application/json", headers=None, connection=None):
    """(status, answer as JSON or text); `key` is the administrator's if it is left out, none where it is None."""
    fields = dict(headers or {})
    if key is not None:
        fields["Authorization"] = f"Bearer {key or platform.key}"
    if body is not None:
        fields["Content-Type"] = content_type
        body = body if isinstance(body, (str, bytes)) else json.dumps(body)
    own = connection or platform.connect(platform.port_of(service) if service else None)
    try:
        own.request(method, path, body=body, headers=fields)
        answer = own.getresponse()
        call.headers = answer.headers
        if answer.headers.get_content_type() == "text/event-stream":
            # It would go on: that it has begun is the answer.
            own.close()
            return answer.status, "stream"
        text = answer.read().decode("utf-8", "replace")
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text
    finally:
        if connection is None:
            own.close()


def make(scopes, **more):
    status, answer = call("POST", "/v1/keys", {"name": "test", "scopes": scopes, **more})
    assert status == 201, answer
    return answer["key"]


def made(scopes, key="", **more):
    """(status, answer) of making a key."""
    return call("POST", "/v1/keys", {"name": "test", "scopes": scopes, **more}, key=key)


def seed():
    """What there is of each collection, called alpha and, to be found in lists, the canary; ids of what has no name."""
    for name in ("alpha", CANARY):
        platform.must("PUT", f"/v1/sources/{name}", json.dumps({"retention": {"raw": "7d"}}))
        platform.must("PUT", f"/v1/datasets/{name}", json.dumps(
            {"columns": [{"name": "id", "type": "int8"}, {"name": "at", "type": "timestamptz"},
                         {"name": CANARY, "type": "text"}]}))
        platform.must("PUT", f"/v1/pipelines/{name}", json.dumps(pipeline(name)))
        platform.must("PUT", f"/v1/endpoints/{name}", json.dumps({"sql": f"select '{CANARY}' as word"}))
        platform.must("PUT", f"/v1/dashboards/{name}", json.dumps({"title": CANARY, "charts": [
            {"type": "table", "query": "select 1 as one"}]}))
        platform.must("PUT", f"/v1/schedules/{name}", json.dumps(
            {"cron": "0 0 1 1 *", "start": {"pipeline": "alpha", "action": "replay", "window": "1d"}}))
        platform.must("PUT", f"/v1/rollups/{name}", json.dumps({
            "dataset": "alpha", "time": {"column": "at", "grain": "day"}, "dimensions": [CANARY],
            "measures": {"rows": "count()"}}))
    record = {"id": 1, "at": "2026-01-01T00:00:00Z", CANARY: CANARY}
    receipt = platform.must("POST", "/v1/ingest/alpha?wait=stored", json.dumps(record) + "\n[]\n",
                            content_type=NDJSON)["receipt"]
    wait_for("the rollup", lambda: platform.must("GET", "/v1/rollups/alpha/data")["items"])
    run = platform.must("POST", "/v1/pipelines/alpha/replay", json.dumps(
        {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}))["run"]
    wait_for("the replay", lambda: platform.must("GET", f"/v1/runs/{run}")["state"] == "succeeded")
    batch = platform.must("GET", "/v1/batches?source=alpha")["items"][0]["id"]
    job = platform.must("GET", "/v1/jobs")["items"][0]["id"]
    key = platform.must("POST", "/v1/keys", json.dumps({"name": CANARY, "scopes": ["query"]}))["id"]
    return {"receipts": receipt, "batches": batch, "runs": run, "jobs": job, "keys": key, "workspaces": "default",
            "queues": "transform"}


def pipeline(name):
    return {"source": name, "steps": [{"filter": "id is not null"}], "target": {"dataset": name}}


def filled(path):
    """The path of what the first workspace has. A collection that is not known here has to have an alpha as well."""
    parts = path.split("/")
    names = [part for part in parts if part.startswith("{")]
    assert len(names) <= 1 or path.startswith("/console"), f"{path}: which one of several names is whose?"
    return "/".join(resources.get(parts[2], "alpha") if part.startswith("{") else part for part in parts)


def body_of(path, operation):
    """(body, its type): the document's own example, but for pipelines, which have to name what is there."""
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        return None, None
    kind, described = next(iter(content.items()))
    if path == "/v1/pipelines/{name}":
        return json.dumps(pipeline("alpha")), kind
    if path == "/v1/keys":
        return json.dumps({"name": "x", "scopes": ["keys:write"]}), kind
    example = described.get("example", {})
    return (example if isinstance(example, str) else json.dumps(example)), kind


def target_of(method, path, operation):
    """The path with what of its query must be there."""
    there = {"batch": resources["batches"], "row": 0}
    query = {one["name"]: there.get(one["name"], one.get("example", "alpha")) for one in operation.get("parameters", [])
             if one["in"] == "query" and one.get("required")}
    if "confirm" in query:
        query["confirm"] = filled(path).split("/")[3]
    return filled(path) + ("?" + "&".join(f"{name}={value}" for name, value in query.items()) if query else "")


class Matrix(unittest.TestCase):
    """Each operation is asked of its own service, not through the gateway, which would hide some."""

    def setUp(self):
        self.connections = {service: platform.connect(platform.port_of(service)) for service in SERVICES}
        self.addCleanup(lambda: [one.close() for one in self.connections.values()])

    def ask(self, service, method, path, operation, key):
        body, kind = body_of(path, operation)
        target = target_of(method, path, operation)
        try:
            return call(method, target, body, key, content_type=kind, connection=self.connections[service])
        except (http.client.HTTPException, OSError):
            self.connections[service].close()
            return call(method, target, body, key, content_type=kind, service=service)

    def scoped(self):
        return [one for one in operations if one[3].get("x-scope")]

    def test_what_is_public_is_listed_here(self):
        public = {path for _, _, path, operation in operations if not operation.get("x-scope")}
        self.assertEqual(public, set(PUBLIC))
        for _, method, path, operation in operations:
            if not operation.get("x-scope") and path != "/v1/session":
                self.assertEqual(method, "GET", path)

    def test_all_that_is_asked_for_is_there(self):
        """Otherwise a refusal or an absence would say nothing."""
        for service, method, path, operation in self.scoped():
            if method == "GET":
                with self.subTest(operation=path):
                    status, answer = self.ask(service, method, path, operation, platform.key)
                    self.assertEqual(status, 426 if path.endswith("/stream") else 200, answer)

    def test_nothing_is_done_without_a_key_that_counts(self):
        """None, one that never was, one that is revoked, one that has expired, one of a workspace that has ended."""
        call("PUT", "/v1/workspaces/ended", {})
        ended = make(["admin"], workspace="ended")
        status, _ = call("DELETE", "/v1/workspaces/ended?confirm=ended")
        self.assertEqual(status, 202)
        status, revoked = made(["admin"])
        self.assertEqual(call("DELETE", f"/v1/keys/{revoked['id']}")[0], 204)
        status, expired = made(["admin"], expires_in="1h")
        platform.sql(f"update millrace.api_key set expires_at = now() - interval '1 s' where id = {expired['id']}")
        never = "mr_" + "A" * 43
        for name, key in (("none", None), ("never", never), ("revoked", revoked["key"]), ("expired", expired["key"]),
                          ("ended", ended)):
            for service, method, path, operation in self.scoped():
                with self.subTest(key=name, operation=f"{method} {path}"):
                    status, answer = self.ask(service, method, path, operation, key)
                    self.assertEqual((status, answer["code"]), (401, "unauthorized"))
                    self.assertIn("Bearer", call.headers["WWW-Authenticate"])

    def test_no_other_scope_will_do(self):
        """Each operation with keys that have each other scope alone, and all others together."""
        known = {operation["x-scope"] for _, _, _, operation in self.scoped()}
        granted = {scope: make([scope]) for scope in known - {"admin"}}
        others = {scope: make(sorted(known - {"admin", scope})) for scope in known}
        for service, method, path, operation in self.scoped():
            needed = operation["x-scope"]
            tried = [(scope, key) for scope, key in granted.items() if scope != needed]
            for scope, key in [*tried, ("all but it", others[needed])]:
                with self.subTest(operation=f"{method} {path}", scope=scope):
                    status, answer = self.ask(service, method, path, operation, key)
                    self.assertEqual((status, answer["code"], answer["scope"]), (403, "forbidden", needed))

    def test_the_scope_itself_will_do(self):
        """Otherwise the refusals above would say nothing. What takes something away is not asked for."""
        granted = {scope: make([scope]) for scope in {one[3]["x-scope"] for one in self.scoped()} - {"admin"}}
        for service, method, path, operation in self.scoped():
            key = granted.get(operation["x-scope"])
            if key and method != "DELETE" and not path.endswith("/erase"):
                with self.subTest(operation=f"{method} {path}"):
                    status, answer = self.ask(service, method, path, operation, key)
                    self.assertNotEqual(status, 401, answer)
                    # Without the member it is no scope that is missing: the key that is rotated has others.
                    self.assertFalse(status == 403 and (path != "/v1/keys/{id}/rotate" or "scope" in answer), answer)
                    self.assertLess(status, 500, answer)

    def test_a_scope_for_other_names_reaches_nothing_of_these(self):
        """A narrowed key meets 403, or 404 where it is the handler that looks; lists show it nothing."""
        narrowed = {}
        for service, method, path, operation in self.scoped():
            scope = operation["x-scope"]
            status, answer = made([f"{scope}/zeta_*"]) if scope not in narrowed else (0, narrowed[scope])
            if status == 422:
                self.assertIn(scope, ("query", "endpoints:write", "rollups:write", "keys:read", "keys:write", "admin"))
                continue
            key = narrowed[scope] = answer["key"] if status else answer
            with self.subTest(operation=f"{method} {path}"):
                status, answer = self.ask(service, method, path, operation, key)
                if status == 200:
                    self.assertNotIn("{", path)
                    self.assertEqual(answer["items"], [])
                else:
                    self.assertIn(status, (403, 404), answer)

    def test_another_workspaces_key_sees_and_changes_nothing(self):
        before = state_of_first_workspace()
        # What makes something of its own comes last, else that would be found before.
        ordered = sorted(self.scoped(), key=lambda one: one[1] == "PUT" or f"{one[1]} {one[2]}" in ELSEWHERE)
        for service, method, path, operation in ordered:
            with self.subTest(operation=f"{method} {path}"):
                status, answer = self.ask(service, method, path, operation, keys["other"])
                self.assertLess(status, 500, answer)
                self.assertNotIn(CANARY, json.dumps(answer))
                name = f"{method} {path}"
                if "{" in path and method != "PUT" and name not in ELSEWHERE:
                    self.assertGreaterEqual(status, 400, answer)
        after = state_of_first_workspace()
        self.assertEqual({table for table in before if before[table] != after[table]}, set())


def state_of_first_workspace():
    """{table: digest} of all rows that are the first workspace's, or refer to such rows; raw ones and datasets' too."""
    tables = platform.sql("""
        select c.table_schema || '.' || c.table_name, string_agg(c.column_name, ' ')
        from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
        where c.table_schema in ('millrace', 'landing', 'queue') and t.table_type = 'BASE TABLE'
            and c.column_name in ('workspace_id', 'workspace', 'source_id', 'pipeline_id', 'dataset_id', 'batch_id')
            and c.table_name !~ '_[0-9]+$'
        group by 1""")
    conditions = {
        "workspace_id": "workspace_id = w.id", "workspace": "workspace = w.id",
        "source_id": "source_id in (select id from millrace.source where workspace_id = w.id)",
        "pipeline_id": "pipeline_id in (select id from millrace.pipeline where workspace_id = w.id)",
        "dataset_id": "dataset_id in (select id from millrace.dataset where workspace_id = w.id)",
        "batch_id": "batch_id in (select b.id from millrace.batch b join millrace.source s on s.id = b.source_id "
                    "where s.workspace_id = w.id)",
    }
    found, filled = {}, set()
    for line in tables.splitlines():
        table, columns = line.split("|")
        condition = conditions[sorted(columns.split(), key=list(conditions).index)[0]]
        rows = platform.sql(f"""
            select t.* from {table} t, (select id from millrace.workspace where name = 'default') w
            where {condition} order by t::text""")
        found[table] = hashlib.sha256(rows.encode()).hexdigest()
        filled |= {table} if rows else set()
    for table in platform.sql("""
            select oid::regclass from pg_class where relnamespace = 'ws_default'::regnamespace
                and relkind in ('r', 'p') and not relispartition""").splitlines():
        found[table] = platform.sql(f"select t.* from {table} t order by t::text")
    assert {"landing.payload", "landing.chunk", "millrace.batch"} <= filled, filled
    assert {"landing.quarantine", "ws_default.alpha", "queue.job"} <= set(found), set(found)
    return found


class Keys(unittest.TestCase):
    def test_a_key_is_shown_once_and_kept_as_its_hash(self):
        status, answer = made(["datasets:read"], limits={"requests_per_day": 100000})
        self.assertEqual(status, 201, answer)
        self.assertEqual(call.headers["Cache-Control"], "no-store")
        key, secret = answer["id"], answer["key"]
        self.assertTrue(secret.startswith(answer["prefix"]) and len(secret) == 46)
        self.assertEqual(call("GET", f"/v1/keys/{key}")[1] | {"key": secret}, answer)
        listed = call("GET", "/v1/keys?limit=1000")[1]["items"]
        self.assertNotIn(secret[9:], json.dumps(listed))
        dump = subprocess.run([PSQL.replace("psql", "pg_dump"), "-h", platform.socket, "-U", "postgres", "millrace"],
                              stdout=subprocess.PIPE, text=True, check=True).stdout
        self.assertIn(f"\t{answer['prefix']}\t", dump)
        self.assertNotIn(secret[9:], dump)
        for path in (platform.home / "log").rglob("*"):
            if path.is_file():
                self.assertNotIn(secret[9:], path.read_text(errors="replace"), path)
        for pid in platform.processes():
            for name in ("cmdline", "environ"):
                try:
                    self.assertNotIn(secret[9:].encode(), (Path("/proc") / str(pid) / name).read_bytes())
                except OSError:
                    pass

    def test_a_repeated_request_makes_one_key(self):
        headers = {"Idempotency-Key": "make-it-once"}
        body = {"name": "once", "scopes": ["query"]}
        status, first = call("POST", "/v1/keys", body, headers=headers)
        self.assertEqual(status, 201)
        status, again = call("POST", "/v1/keys", body, headers=headers)
        self.assertEqual((status, call.headers["Idempotent-Replayed"]), (201, "true"))
        self.assertEqual(again, first | {"key": None})
        status, other = call("POST", "/v1/keys", body | {"name": "twice"}, headers=headers)
        self.assertEqual((status, other["code"]), (422, "idempotency_mismatch"))
        rotate = {"Idempotency-Key": "rotate-it-once"}
        status, new = call("POST", f"/v1/keys/{first['id']}/rotate", headers=rotate)
        self.assertEqual(status, 201, new)
        status, same = call("POST", f"/v1/keys/{first['id']}/rotate", headers=rotate)
        self.assertEqual((status, same), (201, new | {"key": None}))

    def test_a_rotation_overlaps_and_ends_the_old_one(self):
        status, old = made(["datasets:read/al*"], expires_in="30d")
        status, new = call("POST", f"/v1/keys/{old['id']}/rotate", {"overlap": "1h"}, headers={"If-Match": '"v1"'})
        self.assertEqual(status, 201, new)
        self.assertEqual((new["replaces"], new["scopes"], new["expires_at"]),
                         (old["id"], old["scopes"], old["expires_at"]))
        for secret in (old["key"], new["key"]):
            self.assertEqual(call("GET", "/v1/datasets/alpha", key=secret)[0], 200)
        ending = call("GET", f"/v1/keys/{old['id']}")[1]
        self.assertLess(ending["expires_at"], old["expires_at"])
        self.assertEqual(ending["version"], 2)
        status, answer = call("POST", f"/v1/keys/{old['id']}/rotate", headers={"If-Match": '"v1"'})
        self.assertEqual((status, answer["code"]), (412, "precondition_failed"))
        status, at_once = call("POST", f"/v1/keys/{new['id']}/rotate", {"overlap": "0s"})
        self.assertEqual(status, 201)
        status, answer = call("POST", f"/v1/keys/{new['id']}/rotate")
        self.assertEqual((status, answer["code"]), (409, "conflict"))
        self.assertEqual(call("GET", "/v1/datasets/alpha", key=at_once["key"])[0], 200)

    def test_a_key_with_limits_does_not_multiply_them(self):
        status, limited = made(["keys:write", "datasets:read"], limits={"requests_per_day": 100})
        self.assertEqual(status, 201, limited)
        status, answer = call("POST", f"/v1/keys/{limited['id']}/rotate", {"overlap": "30d"}, key=limited["key"])
        self.assertEqual((status, answer["code"]), (403, "forbidden"), answer)
        status, new = call("POST", f"/v1/keys/{limited['id']}/rotate")
        self.assertEqual((status, new["limits"]), (201, {"requests_per_day": 100}))

    def test_a_revocation_is_honoured_by_every_process_within_ten_seconds(self):
        status, key = made(["admin"])
        paths = {"ingest": "/v1/sources", "transform": "/v1/pipelines", "store": "/v1/datasets",
                 "analytics": "/v1/endpoints"}
        for service, path in paths.items():
            self.assertEqual(call("GET", path, key=key["key"], service=service)[0], 200)
        status, session = call("POST", "/v1/session", {"key": key["key"]}, key=None)
        cookie = call.headers["Set-Cookie"].split(";")[0]
        read = {service: call("GET", path, key=None, service=service, headers={"Cookie": cookie})[0]
                for service, path in paths.items()}
        self.assertEqual(set(read.values()), {200})
        self.assertEqual(call("DELETE", f"/v1/keys/{key['id']}")[0], 204)
        start = time.monotonic()
        left = {(service, by) for service in paths for by in ("key", "cookie")}
        while left and time.monotonic() < start + 12:
            for service, by in list(left):
                options = {"key": key["key"]} if by == "key" else {"key": None, "headers": {"Cookie": cookie}}
                if call("GET", paths[service], service=service, **options)[0] == 401:
                    left.discard((service, by))
            time.sleep(0.05)
        self.assertEqual(left, set())
        self.assertLess(time.monotonic() - start, 10.5)

    def test_what_is_open_ends_with_its_key(self):
        """A listener that is told nothing and a socket that sends nothing; others go on."""
        status, key = made(["rollups:read", "ingest:write"])
        live = "/v1/rollups/alpha/live"
        listener, other = Events(platform.port, key["key"], live), Events(platform.port, make(["rollups:read"]), live)
        for stream in (listener, other):
            self.addCleanup(stream.close)
            self.assertEqual(stream.take()[1], "reset")
        url = f"ws://127.0.0.1:{platform.port}/v1/ingest/quiet/stream?stream=s"
        with connect(url, additional_headers={"Authorization": f"Bearer {key['key']}"}) as socket:
            self.assertEqual(socket.recv(timeout=20), '{"ack":0}')
            self.assertEqual(call("DELETE", f"/v1/keys/{key['id']}")[0], 204)
            start = time.monotonic()
            with self.assertRaises(Gone) as ended:
                listener.take()
            self.assertTrue(ended.exception.whole)
            self.assertEqual(json.loads(socket.recv(timeout=15))["code"], "unauthorized")
            with self.assertRaises(ConnectionClosed) as closed:
                socket.recv(timeout=15)
            self.assertLess(time.monotonic() - start, 10.5)
            self.assertEqual(closed.exception.rcvd.code, 1008)
        record = {"id": 9, "at": "2026-01-01T00:00:00Z"}
        self.assertEqual(call("POST", "/v1/ingest/alpha?wait=stored", record, content_type=NDJSON)[0], 200)
        self.assertEqual(other.take()[1], "message")

    def test_a_key_gives_no_more_than_it_has(self):
        maker = make(["keys:write", "keys:read", "ingest:write/web_*", "datasets:*"], expires_in="10d")
        status, given = made(["ingest:write/web_1", "datasets:read"], key=maker)
        self.assertEqual(status, 201, given)
        self.assertLessEqual(given["expires_at"], call("GET", f"/v1/keys/{given['made_by']}")[1]["expires_at"])
        for scopes in (["admin"], ["query"], ["ingest:write"], ["ingest:write/*"], ["ingest:*"], ["raw:read/web_1"]):
            status, answer = made(scopes, key=maker)
            self.assertEqual((status, answer["code"]), (403, "forbidden"), scopes)
        self.assertEqual(made(["datasets:read"], key=maker, expires_in="11d")[0], 403)
        self.assertEqual(made(["datasets:read"], key=maker, workspace="other")[0], 404)
        # Whoever could rotate a stronger key would have it.
        for change in (("POST", f"/v1/keys/{resources['keys']}/rotate"), ("DELETE", f"/v1/keys/{resources['keys']}")):
            self.assertEqual(call(*change, key=maker)[0], 403)
        limited = make(["keys:write", "query"], limits={"requests_per_day": 1000})
        self.assertEqual(made(["query"], key=limited)[0], 403)

    def test_the_last_administrators_key_stays(self):
        call("PUT", "/v1/workspaces/lonely", {})
        status, only = made(["admin"], workspace="lonely")
        self.assertEqual(status, 201, only)
        secret = only["key"]
        status, answer = call("DELETE", f"/v1/keys/{only['id']}", key=secret)
        self.assertEqual((status, answer["code"]), (409, "last_admin_key"))
        status, brief = made(["admin"], key=secret, expires_in="1d")
        self.assertEqual(call("DELETE", f"/v1/keys/{only['id']}", key=secret)[0], 409, "the other one ends sooner")
        self.assertEqual(call("DELETE", f"/v1/keys/{brief['id']}", key=secret)[0], 204)
        status, second = made(["admin"], key=secret)
        self.assertEqual(call("DELETE", f"/v1/keys/{only['id']}", key=secret)[0], 204)
        self.assertEqual(call("DELETE", f"/v1/keys/{only['id']}", key=second["key"])[0], 204, "it has ended already")
        # Of keys that all end, the one that ends last stays: the new one of a rotation, too, while the old one counts.
        call("PUT", "/v1/workspaces/ending", {})
        first = made(["admin"], workspace="ending", expires_in="2d")[1]
        sooner = made(["admin"], key=first["key"], expires_in="1d")[1]
        status, answer = call("DELETE", f"/v1/keys/{first['id']}", key=sooner["key"])
        self.assertEqual((status, answer["code"]), (409, "last_admin_key"))
        status, rotated = call("POST", f"/v1/keys/{first['id']}/rotate", {"overlap": "1h"}, key=first["key"])
        self.assertEqual((status, rotated["expires_at"]), (201, first["expires_at"]))
        status, answer = call("DELETE", f"/v1/keys/{rotated['id']}", key=first["key"])
        self.assertEqual((status, answer["code"]), (409, "last_admin_key"))
        self.assertEqual(call("DELETE", f"/v1/keys/{first['id']}", key=rotated["key"])[0], 204)
        self.assertEqual(call("DELETE", f"/v1/keys/{sooner['id']}", key=rotated["key"])[0], 204)
        configured = next(one for one in call("GET", "/v1/keys")[1]["items"] if one["name"].startswith("admin ("))
        for change in (("POST", f"/v1/keys/{configured['id']}/rotate"), ("DELETE", f"/v1/keys/{configured['id']}")):
            status, answer = call(*change)
            self.assertEqual((status, answer["code"]), (409, "conflict"))

    def test_what_cannot_be_a_key_is_refused_with_its_place(self):
        for body, code, path in (
            ({"scopes": ["query"]}, "invalid_request", "name"),
            ({"name": "x", "scopes": []}, "invalid_request", "scopes"),
            ({"name": "x", "scopes": ["query", "querry"]}, "invalid_scope", "scopes[1]"),
            ({"name": "x", "scopes": ["query/a"]}, "invalid_scope", "scopes[0]"),
            ({"name": "x", "scopes": ["query"], "expires_in": "1s"}, "invalid_request", "expires_in"),
            ({"name": "x", "scopes": ["query"], "limits": {"requests_per_second": 0}}, "invalid_request",
             "limits.requests_per_second"),
            ({"name": "admin (configuration)", "scopes": ["query"]}, "invalid_request", "name"),
            ({"name": "x", "scopes": ["query"], "key": "mr_mine"}, "unknown_field", "key"),
        ):
            with self.subTest(body=body):
                status, answer = call("POST", "/v1/keys", body)
                self.assertEqual((status, answer["code"], answer["errors"][0]["path"]), (422, code, path))

    def test_a_narrowed_key_works_for_its_names(self):
        key = make(["ingest:write/till_*", "sources:read/till_*", "datasets:read/till_*", "pipelines:*/till_*"])
        status, answer = call("POST", "/v1/ingest/till_7?wait=stored", '{"n": 1}', key, content_type=NDJSON)
        self.assertEqual(status, 200, answer)
        self.assertEqual(call("GET", f"/v1/receipts/{answer['receipt']}", key=key)[0], 200)
        self.assertEqual(call("GET", f"/v1/receipts/{resources['receipts']}", key=key)[0], 404)
        for path in ("/v1/sources", "/v1/datasets", "/v1/pipelines"):
            self.assertEqual([one["name"] for one in call("GET", path, key=key)[1]["items"]], ["till_7"], path)
        batches = call("GET", "/v1/batches", key=key)[1]["items"]
        self.assertEqual({one["source"] for one in batches}, {"till_7"})
        self.assertEqual(call("GET", "/v1/datasets/till_7/rows", key=key)[0], 200)
        own = {"source": "till_7", "target": {"dataset": "till_sums"}}
        self.assertEqual(call("PUT", "/v1/pipelines/till_sums", own, key)[0], 201)
        # A pipeline would carry what the key may not read to where it may.
        for definition in (
            own | {"source": "alpha"}, own | {"source": {"dataset": "alpha"}}, own | {"target": {"dataset": "alpha"}},
            own | {"steps": [{"route": [{"when": "n is not null", "dataset": "alpha"}]}]},
            own | {"steps": [{"lookup": {"dataset": "alpha", "on": {"n": "id"}, "columns": {CANARY: "x"}}}]},
        ):
            status, answer = call("PUT", "/v1/pipelines/till_sums", definition, key)
            self.assertEqual((status, answer["code"]), (403, "forbidden"), definition)

    def test_a_pipeline_shows_no_dataset_that_its_key_may_not_read(self):
        key = make(["pipelines:*", "datasets:read/shown*"])
        own = {"source": "shown", "target": {"dataset": "shown"}}
        lookup = {"lookup": {"dataset": "alpha", "on": {"n": "id"}, "columns": {CANARY: "x"}}}
        for definition in (own | {"source": {"dataset": "alpha"}}, own | {"steps": [lookup]}):
            status, answer = call("PUT", "/v1/pipelines/shown_two", definition, key)
            self.assertEqual((status, answer["scope"]), (403, "datasets:read"), definition)
            able = make(["pipelines:*", "datasets:read"])
            self.assertEqual(call("PUT", "/v1/pipelines/shown_two", definition, able)[0], 201)
            self.assertEqual(call("DELETE", "/v1/pipelines/shown_two")[0], 204)
        self.assertEqual(call("PUT", "/v1/pipelines/shown_two", own, key)[0], 201)

    def test_who_only_reads_finds_out_no_masked_value_by_trying(self):
        definition = {"source": "hidden", "steps": [{"mask": {"ip": "sha256"}}], "target": {"dataset": "hidden"}}
        platform.must("PUT", "/v1/pipelines/hidden", json.dumps(definition))
        platform.must("POST", "/v1/ingest/hidden?wait=stored&timeout=60s", '{"ip": "198.51.100.7"}',
                      content_type=NDJSON)
        stored = platform.must("GET", "/v1/datasets/hidden/rows")["items"][0]["ip"]
        body = {"records": [{"ip": "198.51.100.7"}, {"ip": "198.51.100.7"}]}
        for more in ({}, {"definition": definition}):
            found = []
            for scopes in (["pipelines:read", "datasets:read"], ["pipelines:*/hidden"]):
                status, answer = call("POST", "/v1/pipelines/hidden/dry-run", body | more, make(scopes))
                self.assertEqual(status, 200, answer)
                first, second = (row["ip"] for row in answer["rows"])
                self.assertEqual((first, len(first)), (second, len(stored)))
                found.append(first == stored)
            self.assertEqual(found, [False, True])

    def test_a_narrowed_key_starts_no_pipeline_beyond_its_names_by_a_schedule(self):
        schedule = {"cron": "0 0 1 1 *", "start": {"pipeline": "alpha", "action": "replay", "window": "1d"}}
        platform.must("PUT", "/v1/schedules/mill_alpha", json.dumps(schedule))
        key = make(["pipelines:*/mill_*"])
        self.assertEqual(call("GET", "/v1/schedules/mill_alpha", key=key)[0], 200)
        mine = {"source": "mill", "target": {"dataset": "mill_sums"}}
        platform.must("PUT", "/v1/pipelines/mill_sums", json.dumps(mine))
        other = schedule | {"start": schedule["start"] | {"pipeline": "mill_sums"}}
        before = call("GET", "/v1/runs")[1]["items"]
        for method, path, body in (
            ("POST", "/trigger", None), ("POST", "/pause", None), ("POST", "/resume", None), ("DELETE", "", None),
            ("PUT", "", schedule), ("PUT", "", other),
        ):
            with self.subTest(change=f"{method} {path}"):
                status, answer = call(method, f"/v1/schedules/mill_alpha{path}", body, key)
                self.assertEqual((status, answer["code"], answer["scope"]), (403, "forbidden", "pipelines:write"))
                self.assertIn('"alpha"', answer["detail"])
        self.assertEqual(call("GET", "/v1/runs")[1]["items"], before)
        self.assertEqual(call("PUT", "/v1/schedules/mill_own", other, key)[0], 201)
        self.assertEqual(call("POST", "/v1/schedules/mill_own/trigger", key=key)[0], 202)

    def test_a_dry_run_looks_up_what_its_key_may_read(self):
        lookup = {"lookup": {"dataset": "alpha", "on": {"n": "id"}, "columns": {CANARY: "x"}}}
        dry = {"records": [{"n": 1}], "definition": {"source": "alpha", "steps": [lookup], "target": {"dataset": "d"}}}
        # It shows the columns of what it fills, too.
        dry["definition"]["target"] = {"dataset": "any_sums"}
        filling = {**dry, "definition": {**dry["definition"], "steps": [], "target": {"dataset": "alpha"}}}
        for body, scopes, expected in (
            (dry, ["pipelines:read"], 403), (dry, ["pipelines:read/any*", "datasets:read/any*"], 403),
            (dry, ["pipelines:read/any*", "datasets:read/alpha"], 200), (filling, ["pipelines:read/any*"], 403),
            (filling, ["pipelines:read/any*", "datasets:read/alpha"], 200), (filling, ["pipelines:read"], 200),
        ):
            status, answer = call("POST", "/v1/pipelines/any/dry-run", body, make(scopes))
            self.assertEqual(status, expected, answer)
            self.assertEqual("rows" in answer, status == 200)


class Limits(unittest.TestCase):
    def test_a_rate_is_answered_429_and_says_when(self):
        key = make(["datasets:read"], limits={"requests_per_second": 5})
        answers = [(call("GET", "/v1/datasets", key=key, service="store")[0], call.headers) for _ in range(12)]
        allowed = [headers for status, headers in answers if status == 200]
        refused = [headers for status, headers in answers if status == 429]
        self.assertGreaterEqual(len(allowed), 5)
        self.assertGreaterEqual(len(refused), 1)
        self.assertEqual(allowed[0]["ratelimit-policy"], '"second";q=5;w=1')
        self.assertEqual(allowed[0]["ratelimit"], '"second";r=4;t=1')
        self.assertTrue(all(headers["retry-after"] == "1" for headers in refused))
        self.assertEqual(call("GET", "/v1/datasets")[0], 200, "others' keys have limits of their own")
        wait_for("the next second", lambda: call("GET", "/v1/datasets", key=key, service="store")[0] == 200, 3)

    def test_a_quota_counts_over_all_processes(self):
        """Each process knows within about a second what the others have seen."""
        key = make(["datasets:read", "sources:read", "pipelines:read", "endpoints:read"],
                   limits={"requests_per_day": 40})
        paths = {"ingest": "/v1/sources", "transform": "/v1/pipelines", "store": "/v1/datasets",
                 "analytics": "/v1/endpoints"}
        end = time.monotonic() + 6

        def ask(service):
            """How many requests were answered; a refusal says which limit it was."""
            answered = 0
            while time.monotonic() < end:
                status, answer = call("GET", paths[service], key=key, service=service)
                if status == 200:
                    answered += 1
                else:
                    self.assertEqual((status, answer["code"], answer["limit"]),
                                     (429, "rate_limited", "requests_per_day"))
                time.sleep(0.2)
            return answered

        # Two clients at each process, 40 requests a second in all.
        with ThreadPoolExecutor(8) as clients:
            answered = list(clients.map(ask, [*paths, *paths]))
        counts = [here + there for here, there in zip(answered, answered[4:])]
        # The limit, and what all let through in about a second after it.
        self.assertTrue(all(40 > count >= 5 for count in counts), counts)
        self.assertTrue(40 <= sum(counts) <= 200, counts)
        kept = "select sum(u.requests) from millrace.key_use u join millrace.api_key k on k.id = u.key_id " \
            f"where k.prefix = '{key[:9]}'"
        wait_for("the last count", lambda: int(platform.sql(kept)) == sum(counts), 20)
        status, _ = call("GET", paths["store"], key=key, service="store")
        self.assertEqual(status, 429)
        self.assertLessEqual(int(call.headers["Retry-After"]), 86400)

    def test_a_quota_is_exact_in_one_process(self):
        key = make(["datasets:read"], limits={"requests_per_day": 40})
        with ThreadPoolExecutor(8) as clients:
            answers = clients.map(lambda _: call("GET", "/v1/datasets", key=key, service="store")[0], range(120))
        self.assertEqual(sorted(answers), [200] * 40 + [429] * 80)

    def test_octets_are_counted_in_bodies_and_streams(self):
        key = make(["ingest:write"], limits={"bytes_per_day": 5000})
        body = json.dumps({"text": "x" * 1900})
        self.assertEqual(call("POST", "/v1/ingest/metered", body, key, content_type=NDJSON)[0], 202)
        self.assertIn('"bytes";q=5000;w=86400;qu="content-bytes"', call.headers["ratelimit-policy"])
        status, answer = call("POST", "/v1/ingest/metered", body * 3, key, content_type=NDJSON)
        self.assertEqual((status, answer["limit"]), (429, "bytes_per_day"))
        url = f"ws://127.0.0.1:{platform.port}/v1/ingest/metered/stream?stream=s"
        with connect(url, additional_headers={"Authorization": f"Bearer {key}"}) as socket:
            socket.recv()
            socket.send(json.dumps({"seq": 1, "records": [{"text": "x" * 1900}]}))
            self.assertEqual(socket.recv(timeout=20), '{"ack":1}')
            socket.send(json.dumps({"seq": 2, "records": [{"text": "x" * 1900}]}))
            self.assertEqual(json.loads(socket.recv(timeout=20))["limit"], "bytes_per_day")
            with self.assertRaises(ConnectionClosed):
                socket.recv(timeout=20)
        self.assertEqual(call("POST", "/v1/ingest/metered", body, key, content_type=NDJSON)[0], 429)


    def test_slow_bodies_do_not_each_see_the_quota_free(self):
        key = make(["ingest:write"], limits={"bytes_per_day": 5000})
        record = json.dumps({"text": "x" * 1986}).encode()
        self.assertEqual(len(record), 1998)

        def begin(length="Content-Length: 1998"):
            """(socket, the first line of the answer) of a request whose body has not come."""
            one = socket.create_connection(("127.0.0.1", platform.port_of("ingest")), timeout=20)
            self.addCleanup(one.close)
            one.sendall(f"POST /v1/ingest/slow HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
                        f"Content-Type: {NDJSON}\r\nExpect: 100-continue\r\n{length}\r\n\r\n".encode())
            return one, one.recv(8192).split(b" ")[1]

        (first, there), (second, here) = begin(), begin()
        self.assertEqual((there, here), (b"100", b"100"))
        self.assertEqual(begin()[1], b"429")
        # What one does not send is given back.
        first.sendall(record[:10])
        first.close()
        third, _ = wait_for("what was given back", lambda: next(
            (one for one in [begin()] if one[1] == b"100"), None))
        second.sendall(record)
        self.assertEqual(second.recv(8192).split(b" ")[1], b"202")
        # One that does not say its length ends where the quota does, what is reserved left out.
        endless, status = begin("Transfer-Encoding: chunked")
        self.assertEqual(status, b"100")
        endless.sendall(b"7d0\r\n" + record + b"\n\n\r\n")
        self.assertEqual(endless.recv(8192).split(b" ")[1], b"429")
        third.sendall(record)
        self.assertEqual(third.recv(8192).split(b" ")[1], b"202")


class Audit(unittest.TestCase):
    def lines(self, path):
        """The audit lines about a path, of all processes."""
        return [one for file in (platform.home / "log").rglob("current")
                for text in file.read_text(errors="replace").splitlines() if '"message":"audit"' in text
                for one in [json.loads(text)] if one["http.path"] == path]

    def test_who_did_what_from_where_with_which_key_and_result(self):
        status, key = made(["datasets:write", "raw:read", "ingest:write"])
        definition = {"columns": [{"name": "id", "type": "int8"}]}
        headers = {"X-Forwarded-For": "203.0.113.9", "X-Request-Id": "audited-1"}
        call("PUT", "/v1/datasets/audited", definition, key["key"], headers=headers, service="store")
        line = wait_for("the line", lambda: self.lines("/v1/datasets/audited"))[0]
        self.assertEqual(
            {name: line[name] for name in (
                "audit.action", "audit.result", "audit.by", "key.id", "workspace", "http.method", "http.status",
                "client.address", "request.id", "service")},
            {"audit.action": "putDataset", "audit.result": "done", "audit.by": "key", "key.id": key["id"],
             "workspace": "default", "http.method": "PUT", "http.status": 201, "client.address": "203.0.113.9",
             "request.id": "audited-1", "service": "store"})
        call("GET", "/v1/datasets/audited/quarantine", key=key["key"])
        call("GET", "/v1/datasets/audited", key=key["key"])
        wait_for("raw records read", lambda: self.lines("/v1/datasets/audited/quarantine"))
        refused = wait_for("a refusal", lambda: [
            one for one in self.lines("/v1/datasets/audited") if one["http.method"] == "GET"])[0]
        self.assertEqual((refused["audit.result"], refused["key.id"]), ("refused", key["id"]))
        call("POST", "/v1/session", {"key": key["key"]}, key=None)
        session = wait_for("a sign-in", lambda: [
            one for one in self.lines("/v1/session") if one["key.id"] == key["id"]])[0]
        self.assertEqual(session["audit.action"], "beginSession")
        # A row's origin shows the record to those who may see it.
        lineage = f"/v1/datasets/alpha/lineage?batch={resources['batches']}&row=0"
        readers = [made(["datasets:read"])[1], made(["datasets:read", "raw:read"])[1]]
        for reader in readers:
            status, answer = call("GET", lineage, key=reader["key"], service="store")
            self.assertEqual((status, "raw" in answer["items"][0]), (200, reader is readers[1]))
        seen = wait_for("an origin", lambda: [
            one["key.id"] for one in self.lines("/v1/datasets/alpha/lineage")
            if one["key.id"] in [reader["id"] for reader in readers]])
        self.assertEqual(seen, [readers[1]["id"]])
        # Another site's page that would sign somebody in; a key where its id belongs, of which no log has the rest.
        status, _ = call("POST", "/v1/session", {"key": key["key"]}, key=None, headers={"Origin": "https://evil.test"})
        self.assertEqual(status, 403)
        wait_for("a refused sign-in", lambda: [
            one for one in self.lines("/v1/session") if one["audit.result"] == "refused"])
        self.assertEqual(call("DELETE", f"/v1/keys/{key['key']}")[0], 404)
        slip, = wait_for("a slip", lambda: self.lines(f"/v1/keys/{key['key'][:9]}***"))
        self.assertEqual((slip["audit.action"], slip["http.status"]), ("revokeKey", 404))
        self.assertFalse([file for file in (platform.home / "log").rglob("current")
                          if key["key"] in file.read_text(errors="replace")])
        # Records that are sent are in the ledger, with their requests.
        call("POST", "/v1/ingest/audited?wait=stored", "{}", key["key"], content_type=NDJSON)
        self.assertEqual(self.lines("/v1/ingest/audited"), [])


class Workspaces(unittest.TestCase):
    def test_a_workspace_from_its_making_to_its_end_under_running_jobs(self):
        status, answer = call("PUT", "/v1/workspaces/brief", {"description": "soon gone"})
        self.assertEqual((status, answer["schema"], answer["state"]), (201, "ws_brief", "active"))
        tag = call.headers["ETag"]
        self.assertEqual(call("PUT", "/v1/workspaces/brief", {"description": "soon gone"})[0], 200)
        self.assertEqual(call.headers["ETag"], tag, "the same again makes no version")
        key = make(["admin"], workspace="brief")
        put = ("PUT", "/v1/pipelines/sums", {"source": "orders", "target": {"dataset": "sums"}}, key)
        self.assertEqual(call(*put)[0], 201)
        day = {"columns": [{"name": "at", "type": "timestamptz"}], "time_column": "at", "partition": "day"}
        self.assertEqual(call("PUT", "/v1/datasets/days", day, key)[0], 201)
        lines = "\n".join(json.dumps({"n": number, "at": "2026-03-01"}) for number in range(2000))
        for source in ("orders", "days"):
            status, answer = call("POST", f"/v1/ingest/{source}?wait=stored", lines + "\n[]", key, content_type=NDJSON)
            self.assertEqual(status, 200, answer)
        sql = {"sql": "select count(*) from sums"}
        self.assertEqual(call("POST", "/v1/query", sql, key)[1]["rows"], [[2000]])
        self.assertEqual(call("PUT", "/v1/endpoints/n", sql, key)[0], 201)
        rollup = {"dataset": "days", "time": {"column": "at", "grain": "day"}, "measures": {"rows": "count()"}}
        self.assertEqual(call("PUT", "/v1/rollups/by_day", rollup, key)[0], 201)
        schedule = {"cron": "* * * * *", "start": {"pipeline": "sums", "action": "replay", "window": "1d"}}
        self.assertEqual(call("PUT", "/v1/schedules/often", schedule, key)[0], 201)
        # Work that is under way and work that waits, in both queues, when it ends.
        for number in range(20):
            call("POST", "/v1/ingest/orders", lines, key, content_type=NDJSON)
        replay = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
        self.assertEqual(call("POST", "/v1/pipelines/sums/replay", replay, key)[0], 202)
        neighbours = {path: call("GET", path)[1] for path in ("/v1/sources", "/v1/pipelines")}

        for path in ("/v1/workspaces/brief", "/v1/workspaces/brief?confirm=brie"):
            self.assertEqual(call("DELETE", path)[1]["code"], "confirmation_required")
        self.assertEqual(call("DELETE", "/v1/workspaces/brief?confirm=brief", key=key)[0], 403)
        self.assertEqual(call("DELETE", "/v1/workspaces/brief?confirm=brief", headers={"If-Match": '"v9"'})[0], 412)
        status, answer = call("DELETE", "/v1/workspaces/brief?confirm=brief")
        self.assertEqual((status, answer["state"]), (202, "deleting"))
        self.assertEqual(call("DELETE", "/v1/workspaces/brief?confirm=brief")[0], 202)
        status, answer = call("PUT", "/v1/workspaces/brief", {})
        self.assertEqual((status, answer["code"]), (409, "conflict"))

        waited = []

        def is_gone():
            start = time.monotonic()
            status, answer = call("POST", "/v1/ingest/alpha?wait=stored", '{"id": 2}', content_type=NDJSON)
            self.assertEqual(status, 200, answer)
            waited.append(time.monotonic() - start)
            return call("GET", "/v1/workspaces/brief")[0] == 404

        wait_for("the workspace's end", is_gone)
        # Meanwhile nobody else waits.
        self.assertLess(statistics.median(waited), 2)
        self.assertLess(max(waited), 20)
        self.assertEqual(call("GET", "/v1/sources", key=key)[0], 401)
        self.assertEqual(self.left("brief", answer), {})
        for path in ("/v1/sources", "/v1/pipelines"):
            self.assertEqual(call("GET", path)[1], neighbours[path])
        status, again = call("PUT", "/v1/workspaces/brief", {})
        self.assertEqual((status, again["version"]), (201, 1))
        other = make(["admin"], workspace="brief")
        self.assertEqual(call("GET", "/v1/datasets", key=other)[1]["items"], [])

    def left(self, name, _):
        """What is left of a workspace that was deleted: rows that belong to none, its schema, its role."""
        found = {
            "rollups": platform.sql("""
                select c.relname from pg_class c where c.relnamespace = 'rollups'::regnamespace and c.relkind = 'r'
                    and split_part(c.relname, '_', 2) not in (select id::text from millrace.rollup)"""),
            "schema": platform.sql(f"select nspname from pg_namespace where nspname = 'ws_{name}'"),
            "role": platform.sql(f"select rolname from pg_roles where rolname = 'millrace_ws_{name}'"),
            "privileges": platform.sql("select datname from pg_database where datacl::text ~ '(^|[{,])[0-9]+='"),
            "settings": platform.sql("select setrole from pg_db_role_setting where setrole <> 0 and setrole not in "
                                     "(select oid from pg_roles)"),
        }
        columns = platform.sql("""
            select c.table_schema || '.' || c.table_name, c.column_name from information_schema.columns c
            join information_schema.tables t using (table_schema, table_name)
            where c.table_schema in ('millrace', 'landing', 'queue') and t.table_type = 'BASE TABLE'
                and c.table_name not in ('job', 'outcome', 'result') and c.table_name !~ '_[0-9]+$'
                and c.column_name in ('workspace_id', 'workspace', 'source_id', 'pipeline_id', 'dataset_id', 'batch_id',
                    'key_id', 'run')""")
        owners = {"workspace": "workspace", "workspace_id": "workspace", "source_id": "source",
                  "pipeline_id": "pipeline", "dataset_id": "dataset", "batch_id": "batch", "key_id": "api_key",
                  "run": "run"}
        for line in columns.splitlines():
            table, column = line.split("|")
            found[line] = platform.sql(f"""
                select {column} from {table} where {column} is not null
                    and {column} not in (select id from millrace.{owners[column]}) limit 5""")
        return {place: rows for place, rows in found.items() if rows}

    def test_only_the_first_workspaces_administrator_makes_and_deletes_workspaces(self):
        other = keys["other"]
        self.assertEqual(call("PUT", "/v1/workspaces/mine", {}, other)[0], 403)
        self.assertEqual(call("DELETE", "/v1/workspaces/default?confirm=default", key=other)[0], 403)
        self.assertEqual([one["name"] for one in call("GET", "/v1/workspaces", key=other)[1]["items"]], ["other"])
        self.assertEqual(call("GET", "/v1/workspaces/default", key=other)[0], 404)
        self.assertEqual(call("GET", "/v1/keys?workspace=default", key=other)[0], 404)
        self.assertEqual(call("DELETE", "/v1/workspaces/default?confirm=default")[1]["code"], "conflict")
        status, answer = call("PUT", "/v1/workspaces/Not-A-Name", {})
        self.assertEqual((status, answer["code"]), (422, "invalid_name"))


if __name__ == "__main__":
    unittest.main()
