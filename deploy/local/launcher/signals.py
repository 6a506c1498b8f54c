"""How the launcher is told to stop."""

import os
import signal
from pathlib import Path


class Stopped(BaseException):
    """SIGINT, SIGTERM or SIGHUP arrived."""


class Signals:
    """The first signal stops what is being done; a second one, while stopping, makes it hurry."""

    def __init__(self):
        self.supervisor = None
        self.received = None
        signal.signal(signal.SIGINT, self.handle)
        signal.signal(signal.SIGTERM, self.handle)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup(1) leaves it
            signal.signal(signal.SIGHUP, self.handle)

    def handle(self, number, _frame):
        if self.received is None:
            self.received = number
            raise Stopped
        if self.supervisor:
            self.supervisor.hurry = True

    def stop_being_stopped(self):
        """From here on what has begun is brought to its end; a signal makes it hurry."""
        self.received = self.received or signal.SIGTERM
        signal.setitimer(signal.ITIMER_REAL, 0)

    def watch_parent(self):
        """make(1) hands SIGTERM on to what it runs, but not a SIGINT that was sent to it alone: it gives up its handler
        and waits. So once a second (some milliseconds of processor time a minute) we look whether it still has it."""
        parent = os.getppid()
        if name(parent) != "make" or not catches(parent, signal.SIGINT):
            return

        def look(_number, frame):
            if not catches(parent, signal.SIGINT):
                signal.setitimer(signal.ITIMER_REAL, 0)
                if self.received is None:
                    self.handle(signal.SIGINT, frame)

        signal.signal(signal.SIGALRM, look)
        signal.setitimer(signal.ITIMER_REAL, 1, 1)


def name(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def catches(pid, number):
    """Whether a process has a handler for a signal; a process that is gone has none."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = int(status.split("SigCgt:", 1)[1].split(None, 1)[0], 16)
    return bool(caught >> (number - 1) & 1)
