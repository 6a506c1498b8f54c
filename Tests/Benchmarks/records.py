"""Deterministic records of eight fields, about 173 bytes of JSON each, and the dataset that declares their types."""

import random
from pathlib import Path

COLUMNS = [("id", "int8"), ("at", "timestamptz"), ("user_id", "int8"), ("kind", "text"), ("path", "text"),
           ("status", "int8"), ("latency_ms", "float8"), ("ok", "bool")]
DATASET = {"columns": [{"name": name, "type": kind} for name, kind in COLUMNS]}
KINDS = ("view", "click", "purchase", "search", "sign_in")
STATUSES = (200, 200, 200, 200, 201, 204, 301, 404, 500)


def record(number, generator):
    """One record as a line of JSON."""
    minute, second = divmod(number // 997, 60)
    hour, minute = divmod(minute, 60)
    status = STATUSES[generator.getrandbits(16) % len(STATUSES)]
    at = f"2026-03-{1 + hour // 24:02d}T{hour % 24:02d}:{minute:02d}:{second:02d}.{number % 997:03d}Z"
    return (
        f'{{"id":{number},"at":"{at}","user_id":{generator.getrandbits(40)},'
        f'"kind":"{KINDS[generator.getrandbits(16) % len(KINDS)]}",'
        f'"path":"/catalog/products/{generator.getrandbits(32):08x}/reviews","status":{status},'
        f'"latency_ms":{generator.getrandbits(20) / 1000},"ok":{"true" if status < 400 else "false"}}}\n')


def write(path, count, seed=7):
    """Writes `count` records as NDJSON unless the file is there already."""
    path = Path(path)
    if path.exists():
        return path
    generator = random.Random(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    with open(new, "w", encoding="ascii") as file:
        for first in range(0, count, 10_000):
            file.writelines(record(number, generator) for number in range(first, min(first + 10_000, count)))
    new.rename(path)
    return path


def parts(path, number):
    """The file's bytes cut at line ends into `number` pieces of about one size."""
    data = Path(path).read_bytes()
    cuts = [0]
    for part in range(1, number):
        cuts.append(data.index(b"\n", len(data) * part // number) + 1)
    cuts.append(len(data))
    return [data[start:end] for start, end in zip(cuts, cuts[1:])]
