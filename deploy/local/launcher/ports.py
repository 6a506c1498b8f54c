"""That the ports are free, and who has one that is not."""

import os
import re
import socket
from pathlib import Path

from settings import Failure


def require_free(named_ports):
    """Raises Failure that names every port of [(name, port)] that something listens on."""
    taken = []
    for name, port in named_ports:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                probe.listen(1)
            except OSError:
                taken.append(f"port {port} ({name}) is in use{holder(port)}")
    if taken:
        raise Failure("\n".join(taken) + "\nSet MILLRACE_PORT to the first of five free ports.")


def holder(port):
    """" by nginx, pid 42", where /proc shows it to this user."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:  # 0A: listening
                inodes.add(fields[9])
    for process in Path("/proc").glob("[0-9]*"):
        try:
            for descriptor in (process / "fd").iterdir():
                match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(descriptor))
                if match and match[1] in inodes:
                    return f" by {(process / 'comm').read_text().strip()}, pid {process.name}"
        except OSError:
            continue
    return ""
