"""The embedded PostgreSQL: its cluster, its settings, and the role and database in it."""

import os
import pwd
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import children
from settings import Failure, REPOSITORY

VERSION = "15"
BIN = Path(f"/usr/lib/postgresql/{VERSION}/bin")
DATA = Path("postgres")
SQL = {}


def read_files():
    """What the repository holds for PostgreSQL; read before root is given up, for the user may not see it."""
    folder = REPOSITORY / "deploy/postgres"
    for name in ("millrace.conf", "prepare.sql"):
        SQL[name] = (folder / name).read_text()


class Cluster:
    """The cluster in the home's folder `postgres`. The launcher's working directory is the home."""

    def __init__(self, socket_folder, process_memory=None):
        """`process_memory`: MiB that each server process may have for itself; 0 for any, None for the usual share."""
        self.socket = socket_folder
        self.process_memory = usual_process_memory(memory()) if process_memory is None else process_memory

    @property
    def url(self):
        return f"postgresql://millrace@/millrace?host={quote(str(self.socket), safe='/')}"

    @property
    def command(self):
        """What the supervisor's shell runs, in the folder DATA.

        Where a parent of the home is closed to the user (a home under /root, say), no absolute path leads to the data,
        and a PostgreSQL program that starts in a folder it could not enter again by name loses it: it goes to its own
        executable and back. So it starts in / with the folder as an open descriptor, by the name the kernel has for it.

        A statement that wants more memory than a process may have fails alone, with SQLSTATE 53200; where nothing
        limits it, the kernel kills a process in the end, and PostgreSQL ends all sessions then. The limit is of a
        process's own writable memory (RLIMIT_DATA), in which neither shared buffers nor the stack are: a stack that
        cannot grow would be a crash.
        """
        limit = f"ulimit -d {self.process_memory << 10} && " if self.process_memory else ""
        if reachable(Path()):
            script = f"{limit}exec {BIN}/postgres -D {shlex.quote(str(DATA.absolute()))}"
        else:
            script = f"{limit}exec 9<. && cd / && exec {BIN}/postgres -D /proc/self/fd/9"
        return f"/bin/sh -c {shlex.quote(script)}"

    def ensure(self):
        """Makes the cluster unless it is there, and writes the settings that Millrace gives it."""
        if not (BIN / "initdb").exists():
            raise Failure(f"{BIN}/initdb is missing: PostgreSQL {VERSION} is not installed")
        if not DATA.exists():
            self.initialise()
        try:
            version = (DATA / "PG_VERSION").read_text().strip()
        except OSError:
            raise Failure(f"{DATA.absolute()} holds no PostgreSQL cluster; move it away") from None
        if version != VERSION:
            raise Failure(f"{DATA.absolute()} was made by PostgreSQL {version}, this is {VERSION}: see pg_upgrade(1)")
        (DATA / "millrace.conf").write_text(SQL["millrace.conf"] + machine_settings(self.socket))
        self.remove_stale_pid_file()

    def initialise(self):
        """initdb into a folder that gets its name when it is whole, so that a half-made one is never taken for it."""
        print("making the embedded PostgreSQL …", flush=True)
        new = Path("postgres.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        descriptor = os.open(new, os.O_RDONLY | os.O_DIRECTORY)
        try:
            children.check(
                "initdb",
                [BIN / "initdb", "-D", new.absolute() if reachable(Path()) else f"/proc/self/fd/{descriptor}",
                 "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--data-checksums", "--auth=reject"],
                cwd="/", pass_fds=[descriptor])
        finally:
            os.close(descriptor)
        owner = pwd.getpwuid(os.getuid()).pw_name
        (new / "pg_hba.conf").write_text(
            "# The socket's folder is 0700: only its owner and root get here. Both may be the superuser.\n"
            "local  all          postgres  peer  map=superuser\n"
            "local  replication  postgres  peer  map=superuser\n"
            "local  all          all       trust\n")
        (new / "pg_ident.conf").write_text("".join(f"superuser {user} postgres\n" for user in {owner, "root"}))
        with open(new / "postgresql.conf", "a") as file:
            file.write("\n# Written at each start. What comes after these lines has the last word.\n"
                       "include 'millrace.conf'\n")
        new.rename(DATA)

    def remove_stale_pid_file(self):
        """After a crash of the machine the file's pid may be another process's by now, which stops PostgreSQL from
        starting. No process of an earlier run is alive here (the home's lock), so the file means nothing."""
        path = DATA / "postmaster.pid"
        try:
            pid = int(path.read_text().split("\n", 1)[0])
        except FileNotFoundError:
            return
        except ValueError:
            pid = 0
        if pid and running_postgres(pid):
            raise Failure(
                f"a PostgreSQL (pid {pid}) that this launcher did not start has {DATA.absolute()} open; stop it first")
        print(f"removing a stale postmaster.pid (pid {pid})", flush=True)
        path.unlink()

    def wait(self, deadline, check):
        """Until the server takes connections; `check` raises when it keeps dying."""
        while True:
            ready = subprocess.run(
                [BIN / "pg_isready", "-q", "-h", self.socket, "-d", "postgres", "-U", "postgres"],
                cwd="/", stdin=subprocess.DEVNULL, check=False)
            if ready.returncode == 0:
                return
            check()
            if time.monotonic() > deadline:
                raise Failure("PostgreSQL did not become ready in time; see log/postgres/current")
            time.sleep(0.1)

    def prepare(self):
        """The role, the database and the rights, as the superuser."""
        children.check(
            "preparing the database",
            [BIN / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", "role=millrace", "-v", "database=millrace",
             "-h", self.socket, "-U", "postgres", "-d", "postgres"],
            cwd="/", text_in=SQL["prepare.sql"])


def reachable(folder):
    """Whether this process could come back to the folder by its absolute path."""
    return os.access(folder.absolute(), os.X_OK)


def running_postgres(pid):
    """Whether the process is a PostgreSQL whose data directory is ours."""
    try:
        return os.path.samefile(f"/proc/{pid}/cwd", DATA) and "postgres" in Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return False


def memory():
    """MiB of memory that there is: the machine's, or what a container may have of it."""
    megabytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    try:
        megabytes = min(megabytes, int(Path("/sys/fs/cgroup/memory.max").read_text()) >> 20)
    except (OSError, ValueError):
        pass
    return megabytes


def usual_process_memory(megabytes):
    """A sixteenth: as many queries as one workspace may run, eight, leave half of the memory. Less than 384 MiB would
    stop the services' own work, whose sorts and hashes take up to 64 MiB each. As deploy/postgres/start has it."""
    return max(384, megabytes // 16)


def machine_settings(socket_folder):
    """What depends on the machine: a sixteenth of its memory for the buffers, so that it is left usable."""
    megabytes = memory()
    buffers = max(128, min(megabytes // 16, 1024))
    return (
        "\n# This machine.\n"
        "listen_addresses = ''\n"
        f"unix_socket_directories = '{socket_folder}'\n"
        "unix_socket_permissions = 0700\n"
        f"shared_buffers = {buffers}MB\n"
        f"effective_cache_size = {max(256, megabytes // 2)}MB\n"
        f"maintenance_work_mem = {max(64, min(megabytes // 64, 256))}MB\n")
