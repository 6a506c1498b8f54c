"""Compares what five readers make of the HTTP corpus. See the script beside this."""

import json
import sys
from collections import Counter
from pathlib import Path

import corpus
from libraries import h11_reading, httptools_reading
from reading import difference
from servers import Origin, Server

EXPLANATIONS = Path(__file__).with_name("differences.jsonl")
PEERS = ("h11", "httptools", "nginx", "haproxy")
KINDS = {"accepts": "takes what we refuse", "refuses": "refuses what we take", "reads": "reads other requests"}
# By the rule: a peer that is wrong, a parser that leaves the matter to the server around it, a choice, a limit that
# each sets for itself, and what the grammar has and we refuse on purpose. Where ours is wrong, it is put right.
VERDICTS = ("breaks a MUST", "breaks a SHOULD", "leaves it to others", "both may", "limits differ", "ours is stricter")


class Explanations:
    """The lines of differences.jsonl: `peer`, `kind`, `cases`, and why: `rule`, `verdict`, `why`."""

    def __init__(self, lines, names):
        self.faults = []
        self.lines = [json.loads(line) for line in lines]
        self.by_difference = {}
        for number, line in enumerate(self.lines, 1):
            if (line["peer"] not in PEERS or line["kind"] not in KINDS or line["verdict"] not in VERDICTS
                    or not line["rule"] or not line["why"] or not line["cases"]):
                self.faults.append(f"line {number} has a field that is none of the known ones, or an empty one")
            for name in line["cases"]:
                if name not in names:
                    self.faults.append(f"line {number}: there is no case {name}")
                key = (line["peer"], name)
                if key in self.by_difference:
                    self.faults.append(f"line {number}: {line['peer']}, {name} is explained twice")
                self.by_difference[key] = line

    def foresees(self, peer, case, reading):
        line = self.by_difference.get((peer, case.name))
        return difference(case.ours, reading) == (line and line["kind"])


def read_all(cases, explanations):
    """{peer: {case's name: Reading}}"""
    found = {"h11": {case.name: h11_reading(case.octets) for case in cases},
             "httptools": {case.name: httptools_reading(case.octets) for case in cases}}
    with Origin() as origin:
        for name in ("nginx", "haproxy"):
            with Server(name, origin) as server:
                found[name] = server.readings(
                    cases, lambda case, reading, name=name: explanations.foresees(name, case, reading))
    return found


def report(cases, readings, explanations):
    """Says each difference and its explanation; returns what is wrong, each a sentence."""
    wrong = list(explanations.faults)
    for peer in PEERS:
        for case in cases:
            reading = readings[peer][case.name]
            kind = difference(case.ours, reading)
            line = explanations.by_difference.get((peer, case.name))
            said = f"{peer}, {case.name}: {case.octets[:200]!r}: ours {case.ours}; {peer} {reading}"
            if kind and not line:
                wrong.append(f"no explanation: {said}")
            elif line and kind != line["kind"]:
                wrong.append(f"explained as “{line['kind']}”, found “{kind}”: {said}")
    for peer in PEERS:
        for line in explanations.lines:
            if line["peer"] == peer:
                print(f"{peer} {KINDS.get(line['kind'])} ({len(line['cases'])}): {line['verdict']}, "
                      f"RFC {line['rule']}: {line['why']}", file=sys.stderr)
    return wrong


def propose(cases, readings):
    """The differences as lines of differences.jsonl without their reasons, one a case, with what was read."""
    for peer in PEERS:
        for case in cases:
            reading = readings[peer][case.name]
            if kind := difference(case.ours, reading):
                print(json.dumps({
                    "peer": peer, "kind": kind, "cases": [case.name], "rule": case.rule,
                    "sent": repr(case.octets[:300]), "ours": str(case.ours)[:200], "read": str(reading)[:200]},
                    ensure_ascii=False))


def main():
    cases = corpus.cases()
    text = EXPLANATIONS.read_text(encoding="utf-8")
    explanations = Explanations(text.splitlines(), {case.name for case in cases})
    readings = read_all(cases, explanations)
    if sys.argv[1:] == ["--print"]:
        propose(cases, readings)
        return
    wrong = report(cases, readings, explanations)
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    verdicts = Counter()
    for line in explanations.lines:
        verdicts[line["verdict"]] += len(line["cases"])
    print(json.dumps({
        "garden": "http", "cases": len(cases), "peers": len(PEERS), "differences": len(explanations.by_difference),
        **{verdict.replace(" ", "_"): count for verdict, count in verdicts.items()}, "unexplained": len(wrong)}))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
