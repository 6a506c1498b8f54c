"""Two versions of the services side by side on one schema, from one upgrade's beginning to its end."""

import os
import subprocess
import time
from pathlib import Path

from judging import check, judged
from load import Load
from outages import SHORT
from server import OTHER_SITE, REPOSITORY, SERVER, Server
from site_under_test import SERVICES, Site


def old_binaries():
    """(folder, name): the services of PROMISES_OLD, or those of the git reference PROMISES_OLD_REF, built once."""
    if folder := os.environ.get("PROMISES_OLD"):
        return Path(folder), os.environ.get("PROMISES_OLD_REF", folder)
    reference = os.environ.get("PROMISES_OLD_REF", "HEAD~100")
    name = git("rev-parse", "--short", reference)
    tree = REPOSITORY / f".build/old-{name}"
    if not (tree / "Package.swift").exists():
        git("worktree", "add", "--detach", str(tree), name)
    swift = os.environ.get("SWIFT", "swift")
    for service in SERVICES:
        subprocess.run([swift, "build", "--package-path", tree, "--product", f"millrace-{service}"], check=True,
                       stdout=subprocess.DEVNULL)
    return tree / ".build/debug", name


def git(*arguments):
    return subprocess.run(["git", "-C", REPOSITORY, *arguments], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.strip()


def side_by_side(seconds=None):
    """The old version works; the new one's migrations run under it; both work; the old one leaves. And back again."""
    seconds = seconds or SHORT
    folder, name = old_binaries()
    with Server(SERVER) as server, Site(server, binaries=folder) as old:
        migrations = int(server.sql("select count(*) from millrace.migration"))
        # The new gateway is not there yet: its clients insist.
        load = Load(old, clients=8, ports=[old.port, old.port, OTHER_SITE])
        time.sleep(seconds / 3)
        # Starting it migrates the database, with the old services at work.
        with Site(server, port=OTHER_SITE, key=old.key) as new:
            new_migrations = int(server.sql("select count(*) from millrace.migration"))
            check(new_migrations > migrations, f"{name} has the same {migrations} migrations: no other version")
            again = load.wait_working(60)
            time.sleep(seconds / 3)
            refused = subprocess.run([folder / "millrace-store", "migrate"], env={"DATABASE_URL": server.url()},
                                     stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
            check(refused.returncode == 1 and "does not know it" in refused.stderr,
                  f"the old version's migrate: {refused.returncode} {refused.stderr[-300:]}")
            for service in SERVICES:
                new.kill(service)  # a new process may go, and the old ones take over
            again = max(again, load.wait_working(60))
            time.sleep(seconds / 3)
            load.finish()
            caught_up = old.wait_stored("promise")
            return judged(load, f"{name} ({migrations} migrations) beside this build ({new_migrations}), migrated "
                          "under load", again_s=again, caught_up_s=caught_up, old=name)
