"""Backups that are taken while the platform works, and what it is after they were restored."""

import json
import re
import shlex
import shutil
import time

from judging import check, judged
from load import Load
from outages import SHORT
from server import BINARIES, OTHER_SERVER, OTHER_SITE, REPOSITORY, SERVER, Server, as_user
from site_under_test import Site

TENANT = "tenant"  # a workspace beside the first one


class Tenant:
    """A second workspace with a dataset of its own, whose users go on asking after a restore, by the key they had."""

    def __init__(self, site):
        site.must("PUT", f"/v1/workspaces/{TENANT}", "{}")
        made = site.must("POST", "/v1/keys", json.dumps(
            {"name": "tenant", "workspace": TENANT, "scopes": ["ingest:write", "query"]}))
        self.key = made["key"]
        status, answer = self.call(site, "/v1/ingest/own?wait=stored&timeout=60s", '{"word": "kept"}')
        check(status == 200, f"the tenant's record is not stored: {status} {answer}")
        self.judge(site)

    def judge(self, site):
        status, answer = self.call(site, "/v1/query", json.dumps({"sql": "select word from own"}))
        check((status, (answer or {}).get("rows")) == (200, [["kept"]]), f"the tenant cannot query: {status} {answer}")
        ready = site.call("GET", "/readyz", connection=site.connect(site.port_of("analytics")))
        found = next(found for found in ready[1]["checks"] if found["check"] == "query isolation")
        check(ready[0] == 200 and "message" not in found, f"the isolation of queries is not whole: {found}")

    def call(self, site, path, body):
        own, site.key = site.key, self.key
        try:
            return site.call("POST", path, body)
        finally:
            site.key = own


def dump(seconds=None):
    """`pg_dump` under load, restored elsewhere: all that was acknowledged before it began, nothing twice, what was on
    its way goes on, and a second workspace's users query as before."""
    seconds = seconds or SHORT
    with Server(SERVER) as server, Server(OTHER_SERVER) as other:
        file, roles = server.folder / "millrace.dump", server.folder / "roles.sql"
        with Site(server) as site:
            tenant = Tenant(site)
            load = Load(site, clients=6)
            load.wait_working(30)
            time.sleep(seconds / 2)
            begun = time.time()
            roles.write_text(server.run([*documented_command("pg_dumpall", server), "--no-role-passwords"]))
            server.run([file if word == "millrace.dump" else word for word in documented_command("pg_dump", server)])
            ended = time.time()
            load.wait_working(30)
            time.sleep(seconds / 2)
            load.finish()
            site.wait_stored("promise")
            judged(load, "")
        restore(other, file, roles)
        with Site(other, port=OTHER_SITE) as restored:
            caught_up = restored.wait_stored("promise")
            tenant.judge(restored)
            check(restored.call("POST", "/v1/ingest/promise?wait=stored&timeout=60s", '{"client": -1}')[0] == 200,
                  "the restored platform takes nothing in")
            other.sql("delete from ws_default.promise where client = -1")
            return judged(load, f"pg_dump in {ended - begun:.1f} s under load, restored into another server",
                          sql=other.sql, must=lambda sent, at: at is not None and at < begun,
                          may=lambda sent, at: sent < ended, caught_up_s=caught_up)


def restore(other, file, roles):
    """What deploy/docs/operations.md says, after prepare.sql."""
    # Those that are there already, prepare.sql made.
    other.run([BINARIES / "psql", "-Xq", "-h", other.folder, "-p", other.port, "-U", "postgres", "-d", "postgres", "-f",
               roles])
    other.run([file if word == "millrace.dump" else word for word in documented_command("pg_restore", other)])


def documented_command(program, server):
    """The words of a command in deploy/docs/operations.md, for a server here instead of the document's."""
    text = (REPOSITORY / "deploy/docs/operations.md").read_text().split("\n## Backup\n")[1]
    words = shlex.split(re.search(rf"^{program} ([^>#\n]+)", text, re.M)[1])
    words[words.index("-h") + 1] = server.folder
    return [BINARIES / program, "-p", server.port, *words]


def documented(*names):
    """Settings of PostgreSQL as deploy/docs/operations.md has them."""
    text = (REPOSITORY / "deploy/docs/operations.md").read_text()
    found = dict(re.findall(r"^ *(\w+) = '?(.*?)'?$", text, re.M))
    return {name: found[name] for name in names}


def point_in_time(seconds=None):
    """A base backup and the archived log, restored up to a time, after the server's disk was lost: the settings and
    the steps are the document's."""
    seconds = seconds or SHORT
    with Server(SERVER) as server:
        archive, base = server.folder / "archive", server.folder / "base"
        server.run(as_user(["mkdir", archive]))
        server.stop()
        settings = documented("wal_level", "archive_mode", "archive_command", "archive_timeout")
        settings["archive_command"] = settings["archive_command"].replace("/backup/wal", str(archive))
        server.configure(**settings)
        server.start()
        with Site(server) as site:
            tenant = Tenant(site)
            load = Load(site, clients=6)
            load.wait_working(30)
            time.sleep(seconds / 3)
            server.run(as_user([BINARIES / "pg_basebackup", "-h", server.folder, "-p", server.port, "-U", "postgres",
                                "-D", base, "-X", "none", "-c", "fast", "--no-manifest"]))
            time.sleep(seconds / 3)
            moment = time.time()
            # What tells that the moment is over comes after it.
            load.wait_working(30)
            wait_archived(server)
            load.wait_working(30)
            time.sleep(seconds / 3)
            server.kill(wanted=False)
            load.finish(1)
            check(any(at is not None and at > moment for _, _, _, at in load.attempts.values()),
                  "nothing came after the moment")
        shutil.rmtree(server.data)
        return recovered(server, base, archive, load, moment, tenant)


def wait_archived(server):
    """Until the segment that holds the moment is in the archive; `archive_timeout` would do it within a minute."""
    segment = server.sql("select pg_walfile_name(pg_switch_wal())")
    deadline = time.monotonic() + 60
    while not server.sql(f"select 1 from pg_stat_archiver where last_archived_wal >= '{segment}'"):
        check(time.monotonic() < deadline, f"{segment} is not archived")
        time.sleep(0.1)


def recovered(lost, base, archive, load, moment, tenant):
    class Recovered(Server):
        def initialise(self):
            settings = documented("restore_command", "recovery_target_time", "recovery_target_action")
            settings["restore_command"] = settings["restore_command"].replace("/backup/wal", str(archive))
            # In the document's way to write one.
            check(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00", settings["recovery_target_time"]) is not None,
                  f"recovery_target_time = {settings['recovery_target_time']}")
            whole, micros = divmod(round(moment * 1_000_000), 1_000_000)
            settings["recovery_target_time"] = time.strftime(f"%Y-%m-%d %H:%M:%S.{micros:06d}+00", time.gmtime(whole))
            self.configure(archive_mode="off", **settings)
            self.run(as_user(["touch", base / "recovery.signal"]))

    with Recovered(lost.port, data=base) as server, Site(server, port=OTHER_SITE) as site:
        said = (server.folder / "log").read_text(errors="replace")
        check("recovery stopping before commit" in said, f"it did not stop at the moment: {said[-1000:]}")
        caught_up = site.wait_stored("promise")
        tenant.judge(site)
        found = judged(load, "the server's disk lost; base backup and archived log restored to a time",
                       sql=server.sql, must=lambda sent, at: at is not None and at < moment,
                       may=lambda sent, at: sent < moment, caught_up_s=caught_up)
        check(len(load.attempts) > sum(map(int, server.sql(
            "select count(distinct (client, request, attempt)) from ws_default.promise").splitlines())),
            "the moment was the end: nothing was left out")
        return found
