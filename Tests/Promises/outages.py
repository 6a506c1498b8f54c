"""PostgreSQL away, standing still, killed; the services killed; a pooler between; answers to commits that are lost."""

import json
import os
import random
import signal
import subprocess
import time

from commit_proxy import CommitProxy
from judging import Failed, check, judged
from load import Load
from server import POOLER, SERVER, Server, as_user
from site_under_test import SERVICES, Memory, Site

AWAY = int(os.environ.get("PROMISES_AWAY", "120"))  # s
KILLS = int(os.environ.get("PROMISES_KILLS", "5"))  # of each
SHORT = float(os.environ.get("PROMISES_SECONDS", "30"))  # of load, where nothing else says
GROWTH_MB = 64
PROBES = (("ingest", "GET", "/v1/sources/promise", None), ("transform", "GET", "/v1/queues", None),
          ("store", "GET", "/v1/datasets", None), ("store", "GET", "/v1/datasets/promise/rows?limit=1", None),
          ("transform", "POST", "/v1/pipelines/none/run", "{}"),
          ("analytics", "POST", "/v1/query", json.dumps({"sql": "select 1"})))


def probe(site, reached, slowest, refusals):
    """Asks each service for something that needs the database: only 503 with Retry-After is right, and soon."""
    for service, method, path, text in PROBES:
        begun = time.monotonic()
        status, headers, answer = site.ask(site.port_of(service), method, path, text)
        took = time.monotonic() - begun
        slowest[0] = max(slowest[0], took)
        refusals[0] += 1
        check(status == 503, f"{method} {path} of {service}: {status} {answer[:300]} {reached}")
        check("Retry-After" in headers, f"{method} {path} of {service}: 503 without Retry-After")
        check(took < 10, f"{method} {path} of {service} took {took:.1f} s to be refused")
    for service in SERVICES:
        status, _, answer = site.ask(site.port_of(service), "GET", "/healthz")
        check(status == 200, f"{service} is alive, but /healthz is {status}")
        status, _, answer = site.ask(site.port_of(service), "GET", "/readyz")
        check(status == 503, f"{service} is not ready, but /readyz is {status}: {answer[:200]}")


def away(seconds=None):
    """PostgreSQL is away for minutes: 503 with Retry-After, bounded memory, then all well by itself."""
    seconds = seconds or AWAY
    with Server(SERVER) as server, Site(server) as site:
        memory, load = Memory(site), Load(site, clients=12)
        load.wait_working(60)
        time.sleep(min(10, seconds))
        before = memory.reset()
        acknowledged = load.acknowledged
        server.stop(signal.SIGQUIT)
        # What was under way is answered, and its client has noted that.
        during = load.acknowledged
        while (time.sleep(2), now := load.acknowledged)[1] != during:
            during = now
        slowest, refusals, until = [0.0], [0], time.monotonic() + seconds
        while time.monotonic() < until:
            probe(site, "while the server is away", slowest, refusals)
            time.sleep(0.5)
        check(load.acknowledged == during, "records were acknowledged while the server was away")
        check(acknowledged > 0 and load.answers[503] > 0, f"no load was held: {dict(load.answers)}")
        most = memory.reset()
        server.start()
        again = load.wait_working(60)
        time.sleep(2)
        load.finish()
        caught_up = site.wait_stored("promise")
        memory.stop()
        growth = {name: most[name] - before[name] for name in SERVICES}
        check(max(growth.values()) < GROWTH_MB, f"memory grew: {before}, then {most}")
        return judged(load, f"PostgreSQL away for {seconds:.0f} s", refused=load.answers[503] + refusals[0],
                      slowest_refusal_s=max(slowest[0], *(client.slowest for client in load.clients)), again_s=again,
                      caught_up_s=caught_up, memory_mb=max(most.values()), memory_growth_mb=max(growth.values()))


def stalled(seconds=None):
    """PostgreSQL stands still (its processes are stopped), and goes on later: nothing piles up, nothing is lost."""
    seconds = seconds or AWAY / 2
    with Server(SERVER) as server, Site(server) as site:
        memory, load = Memory(site), Load(site, clients=12)
        load.wait_working(60)
        time.sleep(min(10, seconds))
        before = memory.reset()
        server.freeze()
        time.sleep(seconds)
        server.thaw()
        again = load.wait_working(120)
        most = memory.reset()
        load.finish()
        caught_up = site.wait_stored("promise")
        memory.stop()
        growth = {name: most[name] - before[name] for name in SERVICES}
        check(max(growth.values()) < GROWTH_MB, f"memory grew: {before}, then {most}")
        return judged(load, f"PostgreSQL stopped for {seconds:.0f} s, then continued", again_s=again,
                      caught_up_s=caught_up, memory_mb=max(most.values()), memory_growth_mb=max(growth.values()))


def killed(kills=None):
    """SIGKILL for each service and for all of PostgreSQL, again and again."""
    kills = kills or KILLS
    generator = random.Random()
    with Server(SERVER) as server, Site(server) as site:
        load = Load(site, clients=6)
        load.wait_working(60)
        plan = [*SERVICES, "postgres"] * kills
        generator.shuffle(plan)
        slowest = 0.0
        for victim in plan:
            server.kill() if victim == "postgres" else site.kill(victim)
            # A worker that has died is missed after 30 s; the key of an upload that died with ingest is free after 60.
            slowest = max(slowest, load.wait_working(75))
            time.sleep(generator.uniform(0.2, 1.5))
        load.finish()
        caught_up = site.wait_stored("promise")
        return judged(load, f"{kills} × SIGKILL for each service and for PostgreSQL", again_s=slowest,
                      caught_up_s=caught_up)


def lost_answers(seconds=None, chance=0.05):
    """The answer to a commit is lost on its way: a request with a key is repeated and done once, one without a key is
    done once or not at all; jobs are settled once."""
    seconds = seconds or SHORT
    with Server(SERVER) as server:
        proxy = CommitProxy(server.port, time.time_ns())
        with Site(server, url=server.url(proxy.port)) as site:
            load = Load(site, clients=8)
            load.wait_working(60)
            proxy.chance = chance
            time.sleep(seconds)
            # On a busy machine little happens in that time.
            latest = time.monotonic() + 90
            while time.monotonic() < latest and (
                    sum(proxy.cuts.values()) < 40 or sum(client.replayed for client in load.clients) < 2):
                time.sleep(0.5)
            proxy.chance = 0.0
            load.wait_working(60)
            load.finish()
            caught_up = site.wait_stored("promise")
            replayed = sum(client.replayed for client in load.clients)
            cuts = sum(proxy.cuts.values())
            result = judged(load, f"{cuts} answers kept back, connections cut", caught_up_s=caught_up,
                            replayed=replayed, cuts=dict(proxy.cuts))
            check(cuts >= 10, f"too few answers were kept back: {dict(proxy.cuts)}")
            # Both show that commits had been made whose answers nobody got.
            check(replayed > 0, "no repetition with a key found what the first try had done")
            check(result["unacknowledged_stored"] > 0, "nothing was stored whose answer was lost")
            proxy.close()
            return result


class Pooler:
    """pgbouncer in transaction mode before a server."""

    def __init__(self, server, port, size):
        self.server, self.port = server, port
        self.folder = server.folder / "pooler"
        self.folder.mkdir()
        users, self.settings = self.folder / "users", self.folder / "pgbouncer.ini"
        users.write_text('"millrace" ""\n"postgres" ""\n')
        self.settings.write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {users}\n"
            f"pool_mode = transaction\ndefault_pool_size = {size}\nmax_client_conn = 200\nadmin_users = postgres\n"
            "server_login_retry = 1\nquery_wait_timeout = 5\n")
        self.start()

    def start(self):
        self.process = subprocess.Popen(as_user(["/usr/sbin/pgbouncer", "-q", self.settings]), cwd="/",
                                        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def statistics(self):
        """(transactions, clients, server connections) of the services' pool."""
        command = ["/usr/lib/postgresql/15/bin/psql", "-XAtq", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres",
                   "-d", "pgbouncer", "-c"]
        stats = [line.split("|") for line in self.server.run([*command, "show stats"]).splitlines()]
        clients = self.server.run([*command, "show clients"]).splitlines()
        servers = self.server.run([*command, "show servers"]).splitlines()
        transactions = sum(int(fields[1]) for fields in stats if fields[0] == "millrace")
        return (transactions, sum("|millrace|" in line for line in clients), len(servers))


def pooled(seconds=None):
    """pgbouncer in transaction mode is between the services and PostgreSQL, and is killed; so is PostgreSQL."""
    seconds = seconds or SHORT
    size = 4
    with Server(SERVER) as server:
        pooler = Pooler(server, POOLER, size)
        try:
            with Site(server, settings={"MILLRACE_POOLER_URL": server.url(pooler.port)}) as site:
                load = Load(site, clients=6)
                load.wait_working(60)
                time.sleep(seconds / 3)
                transactions, clients, servers = pooler.statistics()
                check(transactions > 50, f"the pooler has seen {transactions} transactions")
                check(servers <= size < clients, f"{clients} connections of services share {servers}")
                pooler.kill()
                time.sleep(2)
                pooler.start()
                again = load.wait_working(60)
                time.sleep(seconds / 3)
                server.kill()
                again = max(again, load.wait_working(60))
                time.sleep(seconds / 3)
                load.finish()
                caught_up = site.wait_stored("promise")
                waits = waited(site)
                walk(site)
                return judged(load, "pgbouncer killed once, PostgreSQL once", again_s=again, caught_up_s=caught_up,
                              service_connections=clients, server_connections=servers, wait_stored_ms=waits)
        finally:
            pooler.kill()


def waited(site):
    """The median time of `?wait=stored` at rest, in ms: notifications arrive, or it would wait for polls."""
    times = []
    for number in range(15):
        begun = time.monotonic()
        site.must("POST", "/v1/ingest/waited?wait=stored&timeout=30s", json.dumps({"id": number}))
        times.append(time.monotonic() - begun)
    median = sorted(times)[len(times) // 2] * 1000
    check(median < 5000, f"a record takes {median:.0f} ms to be stored at rest")
    return median


def walk(site):
    """What needs more than a statement works, too: a pipeline, a replay, a table run, a query, an export, erasing."""
    site.must("PUT", "/v1/pipelines/clean", json.dumps({
        "source": "walk", "steps": [{"cast": {"id": "int8"}}], "target": {"dataset": "clean", "mode": "append"}}))
    site.must("POST", "/v1/ingest/walk?wait=stored&timeout=30s",
              json.dumps([{"id": str(number)} for number in range(100)]))
    run = site.must("POST", "/v1/pipelines/clean/replay",
                    '{"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}')
    ended(site, run["run"])
    site.must("PUT", "/v1/pipelines/copy", json.dumps({
        "source": {"dataset": "clean"}, "steps": [], "target": {"dataset": "copied", "mode": "replace"}}))
    ended(site, site.must("POST", "/v1/pipelines/copy/run")["run"])
    found = site.must("POST", "/v1/query", json.dumps({"sql": "select count(*), count(distinct id) from copied"}))
    check(found["rows"] == [[100, 100]], f"a table's copy has {found['rows']}")
    status, _, exported = site.ask(site.port, "GET", "/v1/datasets/clean/export?format=csv")
    check(status == 200 and len(exported.splitlines()) == 101, f"the export: {status} {exported[:200]}")
    ended(site, site.must("POST", "/v1/datasets/clean/erase", '{"where": "id < 50"}')["run"])
    found = site.must("POST", "/v1/query", json.dumps({"sql": "select count(*) from clean"}))
    check(found["rows"] == [[50]], f"after an erasure of 50 of 100 there are {found['rows']}")


def ended(site, run, seconds=90):
    deadline = time.monotonic() + seconds
    while (found := site.must("GET", f"/v1/runs/{run}"))["state"] in ("queued", "running"):
        if time.monotonic() > deadline:
            raise Failed(f"run {run} has not ended: {found}")
        time.sleep(0.1)
    check(found["state"] == "succeeded", f"run {run}: {found}")
