"""The cases of Tests/HTTPCorpus, with what our parser reads in each: the Swift tests hold the parser to it."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from reading import Reading, request_text

CASES = Path(__file__).resolve().parents[1] / "HTTPCorpus/cases"


@dataclass(frozen=True)
class Case:
    name: str
    rule: str
    octets: bytes
    ours: Reading


def text(value):
    """A string, or an array of strings and repetitions, as the corpus' README has it."""
    if isinstance(value, str):
        return value
    return "".join(part if isinstance(part, str) else part["repeat"] * part["times"] for part in value)


def ours(fields):
    requests = [text(request) for request in fields.get("requests", [])]
    # What follows the last request of a connection is parsed, and thrown away: there are as many answers as are read.
    requests = requests[:len(fields.get("statuses", requests))]
    parts = [re.fullmatch(r"(\S+) (.*) \d+:(.*)", request, re.DOTALL).groups() for request in requests]
    return Reading(tuple(request_text(*part) for part in parts), "fault" in fields)


def cases():
    found = []
    for path in sorted(CASES.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            fields = json.loads(line)
            found.append(Case(fields["name"], fields["rule"], text(fields["send"]).encode("latin-1"), ours(fields)))
    return found
