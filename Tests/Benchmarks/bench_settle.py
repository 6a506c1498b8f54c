"""The queue's claim and settle in bulk, durable, by pgbench on a cluster of its own; the peer is the usual UPDATE with
SKIP LOCKED on one table, with the same number of jobs a claim, on the same cluster."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from platform_under_test import figure, say

BINARIES = Path("/usr/lib/postgresql/15/bin")
MIGRATIONS = ("0001_catalog.sql", "0002_queue.sql")
SETTINGS = {"listen_addresses": "''", "shared_buffers": "'256MB'", "max_wal_size": "'4GB'"}
CLIENTS = 4
CLAIMS = {200: 450, 64: 1400, 1: 2500}  # jobs a claim: claims a client

CYCLE = """\
select coalesce(max(lease), 0) as lease, coalesce(max(position), 0) as mark,
    array_agg(job) filter (where job is not null) as jobs,
    array_agg(attempt) filter (where job is not null) as attempts
from queue.claim(:client_id + 1, 0::int2, false, :n, '{0,0,0,0,0}', array[0,0,:mark,0,0]::int8[], '{0,0,0,0,0}',
    false, '{}') \\gset
select queue.settle(:lease, :jobs::int8[], :attempts::int2[], true);
"""

PEER_TABLE = """\
create table job (id int8 generated always as identity primary key, state text not null default 'ready',
    args jsonb not null, attempted_at timestamptz, finished_at timestamptz);
create index on job (state, id);
"""

PEER_CYCLE = """\
with found as (select id from job where state = 'ready' order by id limit :n for update skip locked),
claimed as (update job set state = 'running', attempted_at = now() from found where job.id = found.id
    returning job.id, job.args)
select array_agg(id) as jobs, count(args) as bodies from claimed \\gset
update job set state = 'done', finished_at = now() where id = any(:jobs::int8[]);
"""


def as_server(command):
    if os.geteuid() != 0:
        return command
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--", *command]


class Cluster:
    def __enter__(self):
        self.home = tempfile.TemporaryDirectory(prefix="millrace-settle.")
        directory = Path(self.home.name)
        if os.geteuid() == 0:
            shutil.chown(directory, "nobody")
        self.data, self.environment = directory / "data", {
            **os.environ, "PGHOST": str(directory), "PGUSER": "postgres", "PGDATABASE": "postgres",
            "PATH": f"{BINARIES}:{os.environ['PATH']}"}
        self.run(as_server([str(BINARIES / "initdb"), "-D", str(self.data), "-U", "postgres", "-A", "trust"]))
        options = " ".join(f"-c {name}={value}" for name, value in SETTINGS.items())
        options += f" -c unix_socket_directories={directory}"
        self.control("start", "-l", str(directory / "log"), "-o", options)
        return self

    def __exit__(self, *_):
        self.control("stop", "-m", "fast")
        self.home.cleanup()

    def control(self, *arguments):
        self.run(as_server([str(BINARIES / "pg_ctl"), "-D", str(self.data), "-w", "-s", *arguments]))

    def run(self, command):
        done = subprocess.run(command, cwd="/", env=getattr(self, "environment", None), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{command[0]} failed: {done.stderr}")
        return done.stdout

    def sql(self, *statements):
        arguments = [part for statement in statements for part in ("-c", statement)]
        return self.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", *arguments])

    def script(self, path):
        self.run(["psql", "-XAtq1", "-v", "ON_ERROR_STOP=1", "-f", str(path)])

    def cycles(self, name, script, jobs, claims):
        path = Path(self.home.name) / f"{name}.sql"
        path.write_text(script)
        out = self.run(["pgbench", "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-t", str(claims),
                        "-D", f"n={jobs}", "-D", "mark=0", "-f", str(path)])
        return float(re.search(r"tps = ([\d.]+)", out)[1]) * jobs


def ours(cluster, jobs, claims, folder):
    cluster.sql("drop schema if exists queue cascade", "drop schema if exists landing cascade",
                "drop schema if exists millrace cascade")
    for name in MIGRATIONS:
        cluster.script(folder / name)
    wanted = jobs * claims * CLIENTS
    for start in range(0, wanted, 50_000):
        count = min(50_000, wanted - start)
        arguments = f"array_fill('{{}}'::jsonb, array[{count}])"
        cluster.sql(f"select cardinality(queue.enqueue('transform', 'a', 1, {arguments}))")
    for _ in range(CLIENTS):
        cluster.sql("select queue.register_worker('transform', 'bench')")
    rate = cluster.cycles("ours", CYCLE, jobs, claims)
    settled = int(cluster.sql("select count(*) from queue.outcome"))
    assert settled == wanted, f"{settled} of {wanted} settled"
    return rate


def peer(cluster, jobs, claims):
    cluster.sql("drop table if exists job", PEER_TABLE,
                f"insert into job (args) select '{{}}' from generate_series(1, {jobs * claims * CLIENTS})",
                "vacuum analyze job")
    return cluster.cycles("peer", PEER_CYCLE, jobs, claims)


def main():
    folder = Path(__file__).resolve().parents[2] / "Shared/Migrations/SQL"
    with Cluster() as cluster:
        for jobs, claims in CLAIMS.items():
            theirs, rate = peer(cluster, jobs, claims), ours(cluster, jobs, claims, folder)
            say(f"  {jobs} a claim: {rate:,.0f} jobs/s, two UPDATEs {theirs:,.0f}")
            figure(bench=f"settle_{'bulk' if jobs == 200 else jobs}", rate=round(rate), peer="two UPDATEs",
                   peer_rate=round(theirs), ratio=round(rate / theirs, 2))


if __name__ == "__main__":
    main()
