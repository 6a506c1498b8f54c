"""The options of a rollup's data, alone and together, compared with the same computed here: several groups, gaps of any
length, buckets before `from`, and months."""

import datetime
import itertools
import math
import os
import statistics
import sys
import unittest
from pathlib import Path
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from platform_under_test import Platform  # noqa: E402
from ports import first_port  # noqa: E402
from rollup_case import SEED, RollupCase  # noqa: E402

UTC = datetime.timezone.utc
START = datetime.datetime(2026, 1, 1, tzinfo=UTC)
FILLS = (None, "null", "zero", "previous", "linear")
MEASURES = ("hits", "total", "mean")


def setUpModule():
    global platform
    print(f"MILLRACE_TEST_SEED={SEED}", flush=True)
    Series.platform = platform = Platform(port=first_port(__file__)).__enter__()
    platform.wait_until_ready()


def tearDownModule():
    platform.__exit__()


def moment(bucket, grain):
    """When a bucket begins: minutes or days since START, months since its year."""
    if grain == "month":
        return datetime.datetime(2026 + bucket // 12, bucket % 12 + 1, 1, tzinfo=UTC)
    return START + bucket * {"minute": datetime.timedelta(minutes=1), "day": datetime.timedelta(days=1)}[grain]


def text(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def measured(records):
    """The measures of a bucket's records."""
    known = [record["ms"] for record in records if record["ms"] is not None]
    return {"hits": len(records), "total": math.fsum(known) if known else None,
            "mean": math.fsum(known) / len(known) if known else None}


def filled(values, span, fill, times):
    """[(bucket, value)] of a span, of a dict of the buckets that have rows."""
    if fill is None:
        return [(bucket, values[bucket]) for bucket in span if bucket in values]
    found = [(bucket, values.get(bucket)) for bucket in span]
    known = [bucket for bucket, value in found if value is not None]

    def between(bucket):
        before = max((other for other in known if other <= bucket), default=None)
        after = min((other for other in known if other >= bucket), default=None)
        if fill == "zero":
            return 0
        if fill == "previous":
            return None if before is None else values[before]
        if fill == "linear" and before is not None and after is not None:
            share = (times(bucket) - times(before)) / (times(after) - times(before))
            return values[before] + (values[after] - values[before]) * share
        return None
    return [(bucket, between(bucket) if value is None else value) for bucket, value in found]


def options(shown, before, average, times, threshold):
    """What the options add to each bucket of a series; `before` are buckets that only averages take in."""
    known = [(times(bucket), value) for bucket, value in shown if value is not None]
    mean = math.fsum(value for _, value in known) / len(known) if known else None
    middle = math.fsum(time for time, _ in known) / len(known) if known else None
    spread = statistics.pstdev([value for _, value in known]) if known else 0
    width = math.fsum((time - middle) ** 2 for time, _ in known)
    largest = max((abs(value) for _, value in known), default=0)
    # What one digit in a billion of the values is, as a slope.
    exact = 1e-9 * (spread + largest * 1e-5) / math.sqrt(width / len(known)) if width else 0
    slope = math.fsum((time - middle) * (value - mean) for time, value in known) / width if width else None
    added = []
    for place, (bucket, value) in enumerate(shown):
        window = [other for at, other in before + shown if bucket - average < at <= bucket and other is not None]
        rate = None
        if place > 0 and value is not None and shown[place - 1][1] is not None:
            rate = (value - shown[place - 1][1]) / (times(bucket) - times(shown[place - 1][0]))
        score = (value - mean) / spread if spread and value is not None else None
        # After "~" of a figure: by how much its digits may differ.
        added.append({
            "moving_average": math.fsum(window) / len(window) if window else None, "zscore": score,
            "rate": rate, "rate~": 1e-14, "slope": slope, "slope~": exact,
            "trend": None if slope is None else mean + slope * (times(bucket) - middle),
            "trend~": 1e-9 + 1e-12 * largest, "anomaly": score is not None and abs(score) >= threshold})
    return added


class Series(RollupCase):
    def expected(self, records, grain, span, fill, average, threshold):
        """{(time, group): {column: value}}"""
        def times(bucket):
            return moment(bucket, grain).timestamp()
        answer = {}
        earlier = range(span.start - average + 1, span.start)
        for who in {group for _, group in records}:
            buckets = {bucket for bucket, group in records if group == who}
            if not buckets & set(span):
                continue
            for measure in MEASURES:
                values = {bucket: measured(records[bucket, who])[measure] for bucket in buckets}
                shown = filled(values, span, fill, times)
                added = options(shown, filled(values, earlier, fill, times), average, times, threshold)
                for (bucket, value), more in zip(shown, added):
                    row = answer.setdefault((text(moment(bucket, grain)), who), {})
                    row[measure] = value
                    row.update({f"{measure}.{name}": found for name, found in more.items()})
        return answer

    def compare_answer(self, query, expected, names):
        path = f"/v1/rollups/{self.name}/data?" + urlencode({"limit": 10000, **query})
        answer = platform.must("GET", path)
        self.assertFalse(answer["truncated"])
        found = {(row["time"], row.get("who")): row for row in answer["items"]}
        self.assertEqual(set(found), set(expected), (SEED, path))
        self.assertEqual(len(found), len(answer["items"]))
        self.assertEqual([row["time"] for row in answer["items"]], sorted(row["time"] for row in answer["items"]))
        for key, row in expected.items():
            for name in names:
                mine, theirs = found[key][name], row[name]
                if theirs is None or isinstance(theirs, bool):
                    self.assertEqual(mine, theirs, (SEED, path, key, name))
                else:
                    tolerance = row.get(f"{name}~", 1e-9)
                    self.assertTrue(mine is not None and math.isclose(mine, theirs, rel_tol=1e-9, abs_tol=tolerance),
                                    (SEED, path, key, name, mine, theirs))
        for row in answer["items"]:
            others = {name for name in row if "." in name and name.split(".")[0] in MEASURES} - set(names)
            self.assertFalse(others, path)

    def combinations(self, records, grain, span, /, **more):
        asked = {"from": text(moment(span.start, grain)), "to": text(moment(span.stop, grain)), **more}
        for fill, average, rate, trend, threshold in itertools.product(
                FILLS, (None, 2, 5, 45), (False, True), (False, True), (None, 0.8)):
            # The statement is the same for others of these.
            if self.random.random() < 0.5:
                continue
            query = dict(asked)
            names = list(MEASURES)
            if fill:
                query["fill"] = fill
            for name, value, columns in (
                    ("moving_average", average, ["moving_average"]), ("rate", rate and "true", ["rate"]),
                    ("trend", trend and "true", ["slope", "trend"]),
                    ("anomalies", threshold and "zscore", ["zscore", "anomaly"]), ("threshold", threshold, [])):
                if value:
                    query[name] = value
                    names += [f"{measure}.{column}" for measure in MEASURES for column in columns]
            self.compare_answer(
                query, self.expected(records, grain, span, fill, average or 1, threshold or 3), names)

    def store(self, rows):
        """Sends (time, group) rows; {(time, group): records}."""
        by_bucket = {}
        records = []
        for number, (time, bucket, who) in enumerate(rows):
            ms = self.random.choice([None, 0, round(self.random.uniform(-50, 1000), 3)])
            record = {"id": number, "ts": text(time), "who": who, "ms": ms, "n": 1}
            records.append(record)
            by_bucket.setdefault((bucket, who), []).append(record)
        self.dataset()
        self.send(records, wait=True)
        return by_bucket

    def test_minutes_of_several_groups_with_gaps(self):
        rows = []
        for who in ("a", "b", None, "long ago", "x" * 300):
            minute = self.random.randrange(20)
            while minute < (40 if who == "long ago" else 120):
                for _ in range(self.random.randrange(1, 4)):
                    rows.append((START + datetime.timedelta(minutes=minute, seconds=self.random.randrange(60)),
                                 minute, who))
                minute += self.random.choice([1, 1, 1, 2, 7, 30])
        records = self.store(rows)
        self.rollup()
        self.settled()
        self.combinations(records, "minute", range(50, 130))
        merged = {}
        for (bucket, _), found in records.items():
            merged.setdefault((bucket, None), []).extend(found)
        self.combinations(merged, "minute", range(50, 130), group_by="")

    def test_months_are_as_long_as_they_are(self):
        rows = []
        for who in ("a", "b"):
            day = 0
            while day < 700:
                time = START + datetime.timedelta(days=day, hours=self.random.randrange(24))
                rows.append((time, (time.year - 2026) * 12 + time.month - 1, who))
                day += self.random.choice([1, 5, 20, 75])
        records = self.store(rows)
        self.rollup("day")
        self.settled()
        self.combinations(records, "month", range(3, 24), grain="month")

    def test_a_series_without_from_begins_with_its_first_row(self):
        records = self.store([(START + datetime.timedelta(minutes=minute), minute, "a") for minute in (0, 1, 4, 5)])
        self.rollup()
        self.settled()
        expected = self.expected(records, "minute", range(0, 6), None, 3, 3)
        self.compare_answer({"moving_average": 3}, expected,
                            [*MEASURES, *(f"{name}.moving_average" for name in MEASURES)])


if __name__ == "__main__":
    unittest.main()
