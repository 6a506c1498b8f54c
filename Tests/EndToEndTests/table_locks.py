"""Locks that hold up who writes to a table, so that a case meets them inside a transaction."""

import contextlib
import subprocess

from platform_under_test import PSQL, wait_for


@contextlib.contextmanager
def holding(platform, statement):
    """Keeps a transaction open that has run a statement."""
    holder = subprocess.Popen([PSQL, "-XAtq", "-h", platform.socket, "-U", "postgres", "-d", "millrace"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        holder.stdin.write(f"begin; {statement}; select 'held';\n")
        holder.stdin.flush()
        said = holder.stdout.readline().strip()
        if said != "held":
            raise AssertionError(f"nothing is held by {statement!r}: {said!r}")
        yield
    finally:
        holder.communicate("rollback;\n")


def held(platform, table, mode="share"):
    """Holds a table's lock, so that who writes to it stands still inside a transaction; readers go on."""
    return holding(platform, f"lock table {table} in {mode} mode")


def wait_blocked(platform, table):
    wait_for(f"someone waits for {table}", lambda: platform.sql(
        f"select count(*) from pg_locks where not granted and relation = '{table}'::regclass") != "0")
