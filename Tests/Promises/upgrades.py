"""Two versions of the services side by side on one schema, from one upgrade's beginning to its end, and back."""

import os
import subprocess
import time
from pathlib import Path

from judging import check, judged
from load import Load
from outages import SHORT
from server import OTHER_SITE, REPOSITORY, SERVER, Server
from site_under_test import SERVICES, Site

# The oldest schema whose services work on all later ones: the one before it replaced functions that they call.
SINCE = "0009_queue_retention.sql"
COMMITS = 100  # that the older version lies back at least


def old_binaries():
    """(folder, name): the services of PROMISES_OLD, or those of the git reference PROMISES_OLD_REF, built once."""
    if folder := os.environ.get("PROMISES_OLD"):
        return Path(folder), os.environ.get("PROMISES_OLD_REF", folder)
    name = git("rev-parse", "--short", os.environ.get("PROMISES_OLD_REF") or old_reference())
    tree = REPOSITORY / f".build/old-{name}"
    if not (tree / "Package.swift").exists():
        git("worktree", "add", "--detach", str(tree), name)
    swift = os.environ.get("SWIFT", "swift")
    for service in SERVICES:
        subprocess.run([swift, "build", "--package-path", tree, "--product", f"millrace-{service}"], check=True,
                       stdout=subprocess.DEVNULL)
    return tree / ".build/debug", name


def old_reference():
    """The newest commit of those that lie back so far, whose migrations are all here, unchanged, and not all there
    are, and which has what the promise rests on."""
    own = migrations("HEAD")
    for commit in git("rev-list", f"--skip={COMMITS}", "HEAD").splitlines():
        found = migrations(commit)
        check(SINCE in found, f"no commit with {SINCE} has fewer migrations than this one, and none of its own")
        if len(found) < len(own) and found.items() <= own.items():
            return commit
    return check(False, f"there are no {COMMITS} commits before this one")


def migrations(commit):
    """{file: what it is}"""
    lines = git("ls-tree", commit, "Shared/Migrations/SQL/").splitlines()
    return {line.rsplit("/", 1)[1]: line.split()[2] for line in lines}


def git(*arguments):
    return subprocess.run(["git", "-C", REPOSITORY, *arguments], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.strip()


def side_by_side(seconds=None):
    """The old version works; the new one's migrations run under it; both work; the new one works alone. And back: the
    old one is started again on the new schema, and works alone."""
    seconds = seconds or SHORT
    folder, name = old_binaries()
    with Server(SERVER) as server, Site(server, binaries=folder) as old:
        count = applied(server)
        # The new gateway is not there yet: its clients insist.
        load = Load(old, clients=8, ports=[old.port, old.port, OTHER_SITE])
        time.sleep(seconds / 4)
        # Starting it migrates the database, with the old services at work.
        with Site(server, port=OTHER_SITE, key=old.key) as new:
            new_count = applied(server)
            check(new_count > count, f"{name} has the same {count} migrations: no other version")
            again = load.wait_working(60)
            time.sleep(seconds / 4)
            refused = subprocess.run([folder / "millrace-store", "migrate"], env={"DATABASE_URL": server.url()},
                                     stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
            check(refused.returncode == 1 and "does not know it" in refused.stderr,
                  f"the old version's migrate: {refused.returncode} {refused.stderr[-300:]}")
            for service in SERVICES:
                new.kill(service)  # a new process may go, and the old ones take over
            again = max(again, load.wait_working(60))
            load.ports = [OTHER_SITE]
            old.leave()
            again = max(again, load.wait_working(60))
            time.sleep(seconds / 4)
            old.come_back()
            load.ports = [old.port]
            load.wait_working(60)
            new.leave()
        working = worked_alone(server, old, load, seconds / 4)
        load.finish()
        caught_up = old.wait_stored("promise")
        return judged(load, f"{name} ({count} migrations) beside this build ({new_count}), migrated under load; each "
                      "alone on the new schema", again_s=max(again, working), caught_up_s=caught_up, old=name)


def applied(server):
    return int(server.sql("select count(*) from millrace.migration"))


def worked_alone(server, old, load, seconds):
    """How long it took until the old version alone took records in and stored some of those."""
    begun = time.monotonic()
    waited = load.wait_working(60)
    batches = "select count(*) from millrace.application a where a.state = 'stored' and a.batch_id > {}"
    newest = server.sql("select max(id) from millrace.batch")
    load.wait_working(60)
    old.wait(lambda: int(server.sql(batches.format(newest))) > 0, 60, "batches that the old version has stored alone")
    time.sleep(max(0.0, seconds - (time.monotonic() - begun)))
    return waited
