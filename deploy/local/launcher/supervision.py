"""The supervisor: s6, one supervised folder a process, each with a logger.

s6-svscan starts one s6-supervise a folder, and those wait in poll(2): at rest none of them uses processor time. A
process that ends is started again, at once the first time and with a doubling delay while it keeps ending within
STEADY seconds. The launcher brings processes up and down in order; if the launcher itself is killed, s6-svscan is sent
SIGTERM by the kernel and takes everything down.
"""

import os
import subprocess
import time
from pathlib import Path

import children
from settings import Failure

SCAN = Path("run/service")
STEADY = 10  # seconds that a process must live for the delay to be forgotten
LONGEST_DELAY = 30

# Before the process is started: the delay that ./finish left, in a way that a stop interrupts.
RUN = """#!/bin/sh
exec 2>&1
read -r delay <delay
if [ "$delay" != 0 ]; then
    trap 'kill $!; exit 0' INT TERM QUIT
    sleep "$delay" & wait $!
    trap - INT TERM QUIT
fi
date +%s >started
cd -P {folder} || exit 1
exec {command}
"""

# After it has ended: the next delay, and a word to the terminal (only standard output goes to the logger).
FINISH = """#!/bin/sh
trap '' PIPE
[ -e ../../stopping ] && exit 0
read -r delay <delay
read -r started <started
lived=$(($(date +%s) - started))
if [ "$lived" -ge {steady} ]; then next=0
elif [ "$delay" = 0 ]; then next=1
else next=$((delay * 2)); fi
[ "$next" -le {longest} ] || next={longest}
echo "$next" >delay
echo >>deaths
if [ "$1" -gt 255 ]; then how="was killed by signal $2"; else how="ended with status $1"; fi
echo "{name} $how after $lived s; starting it again in $next s" >&2 || :
"""

LOGGER = """#!/bin/sh
cd -P ../../../.. || exit 1
exec s6-log -b n4 s8000000 ./log/{name}
"""


class Supervisor:
    def __init__(self, environment, lock):
        self.environment = environment
        self.lock = lock
        self.process = None
        self.hurry = False

    def add(self, name, command, folder="../../..", down_signal="SIGTERM", kill_after=30):
        """Describes a process; `folder` is where it runs, relative to its supervised folder."""
        path = SCAN / name
        (path / "log").mkdir(parents=True)
        # The lock's descriptor goes on to the process itself: what still runs, however it got away, holds the home.
        script(path / "run", RUN.format(folder=folder, command=command))
        script(path / "finish", FINISH.format(name=name, steady=STEADY, longest=LONGEST_DELAY))
        script(path / "log/run", LOGGER.format(name=name))
        for file, text in (("down-signal", down_signal), ("timeout-kill", kill_after * 1000), ("delay", 0),
                           ("started", 0), ("down", ""), ("deaths", "")):
            (path / file).write_text(f"{text}\n" if text != "" else "")
        link = Path(f"log/{name}.log")
        link.unlink(missing_ok=True)
        link.symlink_to(f"{name}/current")

    def start(self):
        """Starts the supervisor; every process stays down until it is asked for."""
        self.process = subprocess.Popen(
            ["s6-svscan", str(SCAN)], stdin=subprocess.DEVNULL, start_new_session=True, env=self.environment,
            pass_fds=[self.lock.fileno()], preexec_fn=children.die_with_parent)
        deadline = time.monotonic() + 10
        for name in self.names():
            while self.control(["s6-svok", SCAN / name]) != 0:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise Failure("the supervisor (s6-svscan) did not start")
                time.sleep(0.02)

    def names(self):
        return sorted(path.name for path in SCAN.iterdir() if not path.name.startswith("."))

    def up(self, names):
        for name in names:
            self.control(["s6-svc", "-u", SCAN / name])
            # Only the first start waits to be asked; if s6-supervise itself were killed, the process would come back.
            (SCAN / name / "down").unlink(missing_ok=True)

    def check(self, name):
        """Raises Failure with the end of its log when a process keeps dying while it starts."""
        if self.process.poll() is not None:
            raise Failure("the supervisor (s6-svscan) has ended")
        deaths = (SCAN / name / "deaths").read_text().count("\n")
        if deaths >= 3:
            raise Failure(f"{name} keeps ending ({deaths} times); the end of log/{name}/current:\n{tail(name)}")

    def down(self, names, seconds):
        """Asks them to end and waits; True when all have."""
        for name in names:
            self.control(["s6-svc", "-d", SCAN / name])
        deadline = time.monotonic() + seconds
        # Asked again and again instead of s6-svwait, whose helper would be left to init as a zombie.
        while any(self.is_up(name) for name in names):
            if self.hurry or time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def is_up(self, name):
        done = subprocess.run(
            ["s6-svstat", "-o", "up", SCAN / name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True, check=False)
        return done.stdout.strip() == b"true"

    def end(self, names, seconds, last_resort="-k"):
        """As down, then by force."""
        if not self.down(names, seconds):
            for name in names:
                self.control(["s6-svc", last_resort, SCAN / name])
            self.hurry = False
            if not self.down(names, 10):
                for name in names:
                    self.control(["s6-svc", "-k", SCAN / name])

    def stop(self):
        """In the order that lets every one finish its work: the gateway, the services, PostgreSQL."""
        if self.process is None:
            return
        Path("run/stopping").touch()
        names = self.names()
        self.end([name for name in names if name == "gateway"], 25)
        self.end([name for name in names if name not in ("gateway", "postgres")], 32)
        self.end([name for name in names if name == "postgres"], 60, last_resort="-q")
        if self.process.poll() is not None:
            # Somebody killed the supervisor's head; its hands must be let go one by one.
            for name in names:
                self.control(["s6-svc", "-x", SCAN / name])
                self.control(["s6-svc", "-dx", SCAN / name / "log"])
            return
        self.control(["s6-svscanctl", "-t", SCAN])
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def control(self, command):
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, check=False).returncode


def script(path, text):
    path.write_text(text)
    path.chmod(0o755)


def tail(name, lines=12):
    try:
        text = Path(f"log/{name}/current").read_text(errors="replace")
    except OSError:
        return "  (no log)"
    return "\n".join("  " + line[:400] for line in text.splitlines()[-lines:])
