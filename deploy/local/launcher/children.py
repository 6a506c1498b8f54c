"""Short-lived child processes: no signal of the terminal reaches them, and none outlives the launcher."""

import ctypes
import os
import resource
import signal
import subprocess

from settings import Failure

PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    """Between fork and exec: the child is asked to stop when the launcher dies in a way it cannot handle."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def raise_file_limit():
    """A connection is a file: this process and its children may have as many as the system lets them, up to 65,536."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most


def run(command, text_in="", **options):
    """Runs a command to its end in a session of its own and returns it; stops its whole group if interrupted."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, start_new_session=True, preexec_fn=die_with_parent, text=True, **options)
    try:
        output, _ = process.communicate(text_in)
        return subprocess.CompletedProcess(command, process.returncode, output)
    except BaseException:
        try:
            os.killpg(process.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        raise


def check(what, command, **options):
    """Runs a command whose output only matters when it fails; raises Failure with the end of it."""
    done = run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if done.returncode != 0:
        tail = "\n".join("  " + line for line in done.stdout.splitlines()[-15:])
        raise Failure(f"{what} failed (status {done.returncode}):\n{tail}")
    return done.stdout
