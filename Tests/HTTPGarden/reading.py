"""What a reader made of a stream of octets, in a form that two readers' can be compared in."""

import re
from dataclasses import dataclass

ABSOLUTE = re.compile(r"^https?://[^/?#]*", re.IGNORECASE)


@dataclass(frozen=True)
class Reading:
    """`requests`: what was read whole, each as `METHOD target length:body`, the characters being octets. `refused`:
    what followed them was answered with an error, or not answered at all; else the reader waits for more, or is done.
    """

    requests: tuple
    refused: bool

    def __str__(self):
        return "; ".join([*self.requests, "refused"] if self.refused else self.requests) or "nothing yet"


def request_text(method, target, body):
    """Proxies rewrite `http://host/path` as `/path`, as RFC 9112, 3.2.1 has them do: all targets are compared so."""
    path = ABSOLUTE.sub("", target)
    if path != target and not path.startswith("/"):
        path = "/" + path
    return f"{method} {path} {len(body)}:{body}"


def difference(ours, peer):
    """One of the words of differences.jsonl, or None."""
    if ours.refused != peer.refused:
        return "refuses" if peer.refused else "accepts"
    return "reads" if ours.requests != peer.requests else None
