"""MILLRACE_HOME: what lies in it, whose it is, and that one launcher at a time uses it.

    admin-key   the first workspace's key, 0600
    console/    the console's files, copied likewise
    bin/        the services as they were built, copied so that a new build does not pull them away
    log/        one folder a process (s6-log): `current` and a few older files
    postgres/   the embedded cluster
    socket      link to a folder in /tmp, 0700: PostgreSQL's socket, whose path may have 107 bytes at most, and the
                gateway's files, which it must reach by their absolute path wherever the home lies
    run/        made anew at each start: the supervisor's folders
    lock        held by the launcher and by every process it started; the launcher's pid
"""

import base64
import fcntl
import os
import secrets
import shutil
import signal
import stat
import tempfile
import time
from pathlib import Path

from settings import Failure, SERVICES

NEEDED_SPACE = 256 << 20


def prepare(settings, binaries):
    """As whoever started it, root perhaps: makes the home, gives it to the user, and copies the services into it."""
    home = settings.home
    if home.exists() and not home.is_dir():
        raise Failure(f"{home} is no folder")
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(f"{home} cannot be made: {error.strerror}") from None
    ours = not any(home.iterdir()) or (home / "lock").exists()
    free = shutil.disk_usage(home).free
    if free < NEEDED_SPACE:
        raise Failure(f"the disk that holds {home} is full: {free >> 20} MiB free, {NEEDED_SPACE >> 20} MiB needed")
    if os.geteuid() == 0:
        if not ours and home.stat().st_uid != settings.user.pw_uid:
            raise Failure(f"{home} holds other things; MILLRACE_HOME must be empty or made by Millrace")
        os.chown(home, settings.user.pw_uid, settings.user.pw_gid)
    elif not os.access(home, os.W_OK | os.X_OK):
        raise Failure(f"{home} is another user's; was it made by root? Choose another MILLRACE_HOME")
    # Open before the rights to read them are given up: binaries may lie where the user cannot look.
    return {name: open(binaries / f"millrace-{name}", "rb") for name in SERVICES}


def require_unused(home):
    """Raises Failure when a launcher runs on this home: said before anything is built."""
    holder = lock_holder(home / "lock")
    if holder is not None:
        raise Failure(f"Millrace is running already with this MILLRACE_HOME (pid {holder}); make stop ends it")


def become(user):
    """Gives up root for good. Whatever the launcher does after this, it does as the user."""
    if os.geteuid() != 0:
        return
    os.setgroups([])
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)


def lock():
    """Takes the home's lock and returns it open: children inherit it, so it is held until the last of them is gone."""
    try:
        file = open("lock", "a+")
    except OSError as error:
        raise Failure(f"MILLRACE_HOME cannot be written: {error.strerror}") from None
    deadline = time.monotonic() + 40
    told = False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            require_unused(Path())
            if time.monotonic() > deadline:
                raise Failure("processes of an earlier run still hold MILLRACE_HOME/lock (fuser names them)") from None
            if not told:
                print("waiting for an earlier run to end …", flush=True)
                told = True
            time.sleep(0.2)
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def lock_holder(lock):
    """The pid of the launcher that holds a home's lock file, if one does."""
    try:
        pid = int(lock.read_text() or "0")
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if b"launcher" in command else None


def stop_other(settings):
    """Asks the launcher of this home to stop and waits until it has."""
    path = settings.home / "lock"
    pid = lock_holder(path)
    if pid is None:
        print("Millrace is not running")
        return
    os.kill(pid, signal.SIGTERM)
    while lock_holder(path) == pid:
        time.sleep(0.1)
    print("stopped")


def lay_out(binaries):
    """In the home, as the user: the folders, the services' files, and the admin key."""
    shutil.rmtree("run", ignore_errors=True)
    for name in ("bin", "log", "run"):
        Path(name).mkdir(mode=0o750, exist_ok=True)
    for name, source in binaries.items():
        target = Path(f"bin/millrace-{name}")
        with source, open(f"{target}.new", "wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
            os.fchmod(copy.fileno(), 0o755)
        os.rename(f"{target}.new", target)
    write_admin_key(Path("admin-key"))


def write_admin_key(path):
    if path.exists():
        return
    key = "mr_" + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    os.rename(new, path)


def runtime_folder():
    """The folder behind the link `socket`: the one an earlier run left if it is sound, else a new one."""
    link = Path("socket")
    if link.is_symlink():
        folder = Path(os.readlink(link))
        try:
            found = os.lstat(folder)
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) == 0o700:
                return folder
        except OSError:
            pass
        link.unlink()
    elif link.exists():
        raise Failure("MILLRACE_HOME/socket is no link; move it away")
    try:
        folder = Path(tempfile.mkdtemp(prefix="millrace-", dir="/tmp"))
    except OSError as error:
        raise Failure(f"no folder can be made in /tmp: {error.strerror}") from None
    link.symlink_to(folder)
    return folder


def remove_runtime_folder():
    link = Path("socket")
    if link.is_symlink():
        shutil.rmtree(os.readlink(link), ignore_errors=True)
        link.unlink()
