"""Writes the HTTP corpus' requests as files for libFuzzer: seeds.py FOLDER"""

import json
import sys
from pathlib import Path

CASES = Path(__file__).resolve().parents[1] / "HTTPCorpus/cases"


def octets(value):
    """What the corpus' README says of a text."""
    if isinstance(value, str):
        return value.encode("latin-1")
    return b"".join(octets(part) if isinstance(part, str) else octets(part["repeat"]) * part["times"] for part in value)


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(CASES.glob("*.jsonl")):
        for line in file.read_text(encoding="ascii").splitlines():
            case = json.loads(line)
            (folder / case["name"]).write_bytes(octets(case["send"]))


if __name__ == "__main__":
    main()
