"""What becomes of records that do not fit their dataset: each kind of misfit under every setting of `on_new_column` and
`on_type_mismatch`, for records that come in and for rows of another dataset, in every mode; what is expected is said
cell by cell."""

import concurrent.futures
import json
import os
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
os.environ.setdefault("BENCH_BINARIES", str(Path(__file__).resolve().parents[2] / ".build/debug"))
from platform_under_test import Platform, wait_for  # noqa: E402
from ports import first_port  # noqa: E402

NDJSON = "application/x-ndjson"
NEW = ("add", "extra", "quarantine")
MISMATCH = ("quarantine", "null", "variant")
# Of records that come in, and of runs from table to table.
MODES = ("append", "upsert", "ignore", "run append", "run upsert", "run ignore", "run replace")
COLUMNS = [{"name": "id", "type": "int8", "nullable": False}, {"name": "a", "type": "int8"},
           {"name": "m", "type": "int8", "nullable": False}, {"name": "d", "type": "date"}]
DECLARED = {column["name"]: column["type"] for column in COLUMNS}
BEFORE = {"id": 2, "a": 9, "m": 9}
KEYS = {f"k{n:03}": n for n in range(500)}
# Columns that were agreed on for records that then did not come to bring them a value.
UNUSED = {**{("null_in_new_column", "add", mismatch): {"b": "int8"} for mismatch in MISMATCH},
          ("both", "add", "quarantine"): {"b": "int8"}, ("both", "quarantine", "variant"): {"a__text": "text"}}
UNNAMEABLE = ("_b", "c" * 64, "ctid")
ENDED = ("succeeded", "failed", "cancelled", "timed_out")
COUNTS = ("read", "stored", "filtered", "quarantined", "duplicates")

# Events: the record, and its outcomes by name: what is stored of it beside its id, which columns come to be, or which
# faults it has. Then the cells: a line for each on_new_column, in it a word for each on_type_mismatch.
EVENTS = {
    "fits": ({"a": 1, "m": 5}, {"stored": ({"a": 1, "m": 5}, {})}, """
        stored stored stored
        stored stored stored
        stored stored stored"""),
    "missing": ({"m": 5}, {"null": ({"m": 5}, {})}, """
        null null null
        null null null
        null null null"""),
    "lacking": ({"a": 1}, {"refused": [("not_null", "m")]}, """
        refused refused refused
        refused refused refused
        refused refused refused"""),
    "new_column": ({"a": 1, "m": 5, "b": 7}, {
        "column": ({"a": 1, "m": 5, "b": 7}, {"b": "int8"}),
        "extra": ({"a": 1, "m": 5, "_extra": {"b": 7}}, {}),
        "unknown": [("unknown_column", "b")]}, """
        column  column  column
        extra   extra   extra
        unknown unknown unknown"""),
    "null_in_new_column": ({"a": 1, "m": 5, "b": None}, {"stored": ({"a": 1, "m": 5}, {})}, """
        stored stored stored
        stored stored stored
        stored stored stored"""),
    "reserved_name": ({"a": 1, "m": 5, "_b": 7, "c" * 64: 8, "ctid": 9}, {
        "extra": ({"a": 1, "m": 5, "_extra": {"_b": 7, "c" * 64: 8, "ctid": 9}}, {}),
        "unknown": [("unknown_column", "ctid"), ("unknown_column", "_b"), ("unknown_column", "c" * 64)]}, """
        extra   extra   extra
        extra   extra   extra
        unknown unknown unknown"""),
    "other_type": ({"a": "two", "m": 5}, {
        "refused": [("invalid_cast", "a")],
        "null": ({"m": 5}, {}),
        "text": ({"m": 5, "a__text": "two"}, {"a__text": "text"})}, """
        refused null text
        refused null text
        refused null text"""),
    "becomes_float": ({"a": 2.5, "m": 5}, {
        "refused": [("invalid_cast", "a")],
        "null": ({"m": 5}, {}),
        "float": ({"m": 5, "a__float8": 2.5}, {"a__float8": "float8"})}, """
        refused null float
        refused null float
        refused null float"""),
    # As a JSON number it is no int8; as a value of a table's float8 it is one.
    "whole_float": ({"a": 2.0, "m": 5}, {
        "refused": [("invalid_cast", "a")],
        "null": ({"m": 5}, {}),
        "float": ({"m": 5, "a__float8": 2}, {"a__float8": "float8"})}, """
        refused null float
        refused null float
        refused null float"""),
    "time_of_day": ({"m": 5, "d": "2024-01-01 23:00"}, {
        "refused": [("invalid_cast", "d")],
        "null": ({"m": 5}, {}),
        "text": ({"m": 5, "d__text": "2024-01-01 23:00"}, {"d__text": "text"})}, """
        refused null text
        refused null text
        refused null text"""),
    "other_type_needed": ({"a": 1, "m": "five"}, {"refused": [("invalid_cast", "m")]}, """
        refused refused refused
        refused refused refused
        refused refused refused"""),
    "both": ({"a": "two", "m": 5, "b": 7}, {
        "refused": [("invalid_cast", "a")],
        "twice": [("invalid_cast", "a"), ("unknown_column", "b")],
        "unknown": [("unknown_column", "b")],
        "null_column": ({"m": 5, "b": 7}, {"b": "int8"}),
        "null_extra": ({"m": 5, "_extra": {"b": 7}}, {}),
        "text_column": ({"m": 5, "b": 7, "a__text": "two"}, {"b": "int8", "a__text": "text"}),
        "text_extra": ({"m": 5, "_extra": {"b": 7}, "a__text": "two"}, {"a__text": "text"})}, """
        refused null_column text_column
        refused null_extra  text_extra
        twice   unknown     unknown"""),
    "keys": ({"a": 1, "m": 5, **KEYS}, {
        "some": ({"a": 1, "m": 5, **dict(list(KEYS.items())[:200]), "_extra": dict(list(KEYS.items())[200:])},
                 {name: "int8" for name in list(KEYS)[:200]}),
        "extra": ({"a": 1, "m": 5, "_extra": KEYS}, {}),
        # Of many faults the first twenty are told.
        "unknown": [("unknown_column", name) for name in list(KEYS)[:20]]}, """
        some    some    some
        extra   extra   extra
        unknown unknown unknown"""),
}

def setUpModule():
    global platform
    platform = Platform(port=first_port(__file__)).__enter__()
    platform.wait_until_ready()


def tearDownModule():
    platform.__exit__()


def send(source, *records):
    return post(source, "".join(json.dumps(record) + "\n" for record in records), NDJSON)


def post(source, body, content_type):
    answer = platform.must("POST", f"/v1/ingest/{source}?wait=stored&timeout=60s", body, content_type=content_type)
    return [answer.get(name) for name in ("state", "received", "stored", "filtered", "quarantined", "duplicates")]


def columns(dataset):
    found = platform.must("GET", f"/v1/datasets/{dataset}")["columns"]
    return {column["name"]: column["type"] for column in found if column["state"] == "applied"}


def rows(dataset):
    text = platform.sql(f"select coalesce(json_agg(jsonb_strip_nulls(to_jsonb(t) - '{{_batch,_row,_out}}'::text[]) "
                        f"order by t._batch, t._row), '[]') from ws_default.{dataset} t where t.id = 2")
    return json.loads(text)


def meet(event, new, mismatch, mode):
    """What comes of a cell's record, or why that cannot be said: other cells go on."""
    try:
        return gone(event, new, mismatch, mode)
    except (Exception, SystemExit) as error:
        return repr(error)


def gone(event, new, mismatch, mode):
    """Brings the event's record into a dataset of its own, where another one is before it."""
    name = f"{event}_{new[:2]}_{mismatch[:2]}_{mode.replace(' ', '_')}"
    key = {"primary_key": ["id"]} if mode.endswith(("upsert", "ignore")) else {}
    platform.must("PUT", f"/v1/datasets/{name}", json.dumps(
        {"columns": COLUMNS, "on_new_column": new, "on_type_mismatch": mismatch, **key}))
    record = {"id": 2, **EVENTS[event][0]}
    if mode.startswith("run "):
        hold(f"{name}_from", record)
        before = run(name, mode, [{"select": ["id"]}, {"derive": {"a": "9", "m": "9"}}])
        counts = run(name, mode, [])
    else:
        platform.must("PUT", f"/v1/pipelines/{name}", json.dumps(
            {"source": name, "target": {"dataset": name, "mode": mode}}))
        before = send(name, BEFORE)
        counts = send(name, record)
    quarantine = [([(error["code"], error["column"]) for error in item["errors"]], json.loads(item["raw"]))
                  for item in platform.must("GET", f"/v1/datasets/{name}/quarantine")["items"]]
    return {"before": before, "counts": counts, "rows": rows(name), "columns": columns(name), "quarantine": quarantine}


def hold(dataset, record):
    """Makes a dataset of one row, the record. What no column can be called is in its `_extra`."""
    kinds = {int: "int8", float: "float8", str: "text", type(None): "int8"}
    listed = [{"name": name, "type": kinds[type(value)]} for name, value in record.items() if name not in UNNAMEABLE]
    platform.must("PUT", f"/v1/datasets/{dataset}", json.dumps({"columns": listed, "on_new_column": "extra"}))
    if send(dataset, record) != ["stored", 1, 1, 0, 0, 0]:
        raise ValueError(f"{dataset} does not hold the record")


def run(name, mode, steps):
    """Runs a pipeline from the dataset that holds the record."""
    platform.must("PUT", f"/v1/pipelines/{name}", json.dumps(
        {"source": {"dataset": f"{name}_from"}, "steps": steps,
         "target": {"dataset": name, "mode": mode.removeprefix("run ")}}))
    number = platform.must("POST", f"/v1/pipelines/{name}/run")["run"]
    ended = wait_for(f"run {number}", lambda: (found := platform.must("GET", f"/v1/runs/{number}"))["state"] in ENDED
                     and found)
    return [ended["state"]] + [ended["records"][count] for count in COUNTS]


def outcome_of(event, new, mismatch, mode):
    """What becomes of the record, and columns that its dataset has besides."""
    _, outcomes, cells = EVENTS[event]
    outcome = outcomes[cells.strip().splitlines()[NEW.index(new)].split()[MISMATCH.index(mismatch)]]
    if mode.startswith("run ") and event == "whole_float":
        outcome = ({"a": 2, "m": 5}, {})
    # A table that is made anew has all columns that were agreed on, whether anybody brings them a value or not.
    unused = UNUSED.get((event, new, mismatch), {}) if mode == "run replace" else {}
    return outcome, unused


def quarantined(event, faults, mode):
    record = {"id": 2, **EVENTS[event][0]}
    extra = {name: record.pop(name) for name in UNNAMEABLE if name in record} if mode.startswith("run ") else {}
    # In a row's `_extra` the members are ordered as jsonb orders them.
    return [(sorted(faults, key=lambda fault: (len(fault[1]), fault[1])), {**record, "_extra": extra})
            if extra else (faults, record)]


def expected(event, new, mismatch, mode):
    outcome, unused = outcome_of(event, new, mismatch, mode)
    state = "succeeded" if mode.startswith("run ") else "stored"
    before = [state, 1, 1, 0, 0, 0]
    if isinstance(outcome, list):
        return {"before": before, "counts": [state, 1, 0, 0, 1, 0], "rows": [] if mode == "run replace" else [BEFORE],
                "columns": {**DECLARED, **unused}, "quarantine": quarantined(event, outcome, mode)}
    mode = mode.removeprefix("run ")
    row, added = outcome
    added = {**added, **unused}
    row = {"id": 2, **row}
    return {"before": before, "counts": [state, 1, 0, 0, 0, 1] if mode == "ignore" else [state, 1, 1, 0, 0, 0],
            "rows": {"append": [BEFORE, row], "upsert": [row], "ignore": [BEFORE], "replace": [row]}[mode],
            "columns": {**DECLARED, **added}, "quarantine": []}


class SchemaMatrix(unittest.TestCase):
    maxDiff = None

    def test_every_cell(self):
        cells = [(event, new, mismatch, mode) for event in EVENTS for new in NEW for mismatch in MISMATCH
                 for mode in MODES]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda cell: meet(*cell), cells))
        for cell, came in zip(cells, found):
            with self.subTest("cell", event=cell[0], on_new_column=cell[1], on_type_mismatch=cell[2], mode=cell[3]):
                self.assertEqual(came, expected(*cell))
        self.assertEqual(len(found), len(EVENTS) * 63)

    def test_what_is_inferred_takes_what_comes(self):
        """A dataset that nobody declared: new columns are added, values of another type go to columns of their own."""
        batches = [
            ([{"id": 2, "a": 1}], {"id": "int8", "a": "int8"}),
            ([{"id": 2, "a": 2.5}, {"id": 2, "a": "x"}, {"id": 2, "a": True}, {"id": 2, "a": {"k": 1}}],
             {"a__float8": "float8", "a__text": "text", "a__bool": "bool", "a__jsonb": "jsonb"}),
            # What a value becomes does not depend on what comes with it.
            ([{"id": 2, "a": "2026-01-01T00:00:00Z", "b": None}, {"id": 2, "a": -0.125, "b": [1]}],
             {"a__timestamptz": "timestamptz", "b": "jsonb"}),
            ([{"id": "2", "a": "3"}], {}),
        ]
        known = {}
        for records, added in batches:
            self.assertEqual(send("inferred_all", *records), ["stored", len(records), len(records), 0, 0, 0])
            known |= added
            self.assertEqual(columns("inferred_all"), known)
        self.assertEqual(rows("inferred_all"), [
            {"id": 2, "a": 1}, {"id": 2, "a__float8": 2.5}, {"id": 2, "a__text": "x"}, {"id": 2, "a__bool": True},
            {"id": 2, "a__jsonb": {"k": 1}}, {"id": 2, "a__timestamptz": "2026-01-01T00:00:00+00:00"},
            {"id": 2, "a__float8": -0.125, "b": [1]}, {"id": 2, "a": 3}])

    def test_values_that_steps_typed_stay_the_same(self):
        """What a column does not hold without loss is a mismatch. Who declares float8 asks for the nearest double."""
        types = {"a": "int8", "b": "int8", "d": "date", "f": "float8", "n": "numeric"}
        derived = {"a": "x::float8 / 2", "b": "x::numeric * 2 / 2", "d": "at::timestamptz", "f": "x::numeric / 3",
                   "n": "0.1::float8 + 0.2::float8"}
        kept = {"id": 2, "b": 3, "f": 1, "n": 0.30000000000000004}
        outcomes = {"quarantine": None, "null": kept,
                    "variant": {**kept, "a__float8": 1.5, "d__timestamptz": "2024-01-01T23:59:59+00:00"}}
        for mismatch, outcome in outcomes.items():
            with self.subTest(mismatch=mismatch):
                name = f"typed_{mismatch}"
                platform.must("PUT", f"/v1/datasets/{name}", json.dumps({
                    "columns": [{"name": column, "type": type} for column, type in {"id": "int8", **types}.items()],
                    "on_type_mismatch": mismatch}))
                platform.must("PUT", f"/v1/pipelines/{name}", json.dumps({
                    "source": name, "steps": [{"derive": derived}, {"drop": ["x", "at"]}],
                    "target": {"dataset": name}}))
                fits = {"id": 2, "x": 4, "at": "2024-01-02T00:00:00Z"}
                send(name, fits | {"id": 3})
                counts = send(name, {"id": 2, "x": 3, "at": "2024-01-01T23:59:59Z"})
                if outcome is None:
                    self.assertEqual(counts, ["stored", 1, 0, 0, 1, 0])
                    item, = platform.must("GET", f"/v1/datasets/{name}/quarantine")["items"]
                    self.assertEqual([(error["code"], error["message"]) for error in item["errors"]], [
                        ("invalid_cast", '"1.5" does not fit bigint without loss'),
                        ("invalid_cast", '"2024-01-01 23:59:59+00" does not fit date without loss')])
                else:
                    self.assertEqual(rows(name), [outcome])
                self.assertEqual(platform.sql(f"select a, d from ws_default.{name} where id = 3"), "2|2024-01-02")

    def test_a_pipeline_that_makes_another_type_of_a_column(self):
        """Nobody declared the dataset: the new values have a column of their own."""
        for expression in ("bytes::int8 / 1024", "bytes::int8 / 1024.0"):
            platform.must("PUT", "/v1/pipelines/sizes", json.dumps({
                "source": "sizes", "steps": [{"derive": {"kb": expression}}], "target": {"dataset": "sizes"}}))
            self.assertEqual(send("sizes", {"id": 2, "bytes": 1536})[2:], [1, 0, 0, 0])
        self.assertEqual(rows("sizes"), [
            {"id": 2, "bytes": 1536, "kb": 1}, {"id": 2, "bytes": 1536, "kb__numeric": 1.5}])

    def test_what_an_inferred_column_would_make_another_value_of(self):
        self.assertEqual(send("kept", {"id": 2, "f": 1.5, "b": True, "t": "2024-01-01T00:00:00Z"})[2:], [1, 0, 0, 0])
        body = ('{"id": 2, "f": 123456789012345678, "b": 1, "t": 170406}\n'
                '{"id": 2, "f": 1234567890123456.789, "b": "no", "t": "1/2/2024"}\n'
                '{"id": 2, "f": "123456789012345678901", "b": "true", "t": "2024-01-02"}\n'
                '{"id": 2, "f": 0.30000000000000004, "i": 100000000000000000000000, "e": 1e23}\n'
                '{"id": 2, "f": "0.25"}\n')
        self.assertEqual(post("kept", body, NDJSON)[2:], [5, 0, 0, 0])
        self.assertEqual(platform.sql("select f, f__numeric, b, b__int8, b__text, t at time zone 'UTC', t__int8, "
                                      "t__text, i, e from ws_default.kept order by _batch, _row").splitlines(), [
            "1.5||t|||2024-01-01 00:00:00||||", "|123456789012345678||1|||170406|||",
            "|1234567890123456.789|||no|||1/2/2024||", "|123456789012345678901|t|||2024-01-02 00:00:00||||",
            "0.30000000000000004||||||||100000000000000000000000|100000000000000000000000", "0.25|||||||||"])

    def test_cells_that_look_like_numbers(self):
        body = "id,version,sha,price,day\n2,1.9,1234e56,1.5e-3,2024-01-01\n2,1.10,7654e12,2,2024-01-02\n"
        self.assertEqual(post("looks", body, "text/csv")[2:], [2, 0, 0, 0])
        self.assertEqual(columns("looks"), {
            "id": "int8", "version": "numeric", "sha": "text", "price": "float8", "day": "date"})
        self.assertEqual(post("looks", "id,day\n007,2024-01-01 23:00\n", "text/csv")[2:], [1, 0, 0, 0])
        self.assertEqual(platform.sql("select id, id__text, version, sha, price, day, day__text from ws_default.looks "
                                      "order by _batch, _row").splitlines(), [
            "2||1.9|1234e56|0.0015|2024-01-01|", "2||1.10|7654e12|2|2024-01-02|", "|007|||||2024-01-01 23:00"])

    def test_columns_that_values_would_go_to_are_taken_or_cannot_be(self):
        """A value that finds no column of its own is kept in `_extra`, under its field's name."""
        long = "n" * 58
        self.assertEqual(send("homeless", {"id": 2, "a": 1, "a__text": 5, long: 1})[2:], [1, 0, 0, 0])
        records = [{"id": 2, "a": "x"}, {"id": 2, "a": "y", "a__text": 6}, {"id": 2, "a": "7"}, {"id": 2, long: "z"},
                   {"id": 2, "a": 0.5, "a__float8": "f"}]
        self.assertEqual(send("homeless", *records)[2:], [5, 0, 0, 0])
        self.assertEqual(rows("homeless"), [
            {"id": 2, "a": 1, "a__text": 5, long: 1}, {"id": 2, "_extra": {"a": "x"}},
            {"id": 2, "a__text": 6, "_extra": {"a": "y"}}, {"id": 2, "a": 7}, {"id": 2, "_extra": {long: "z"}},
            {"id": 2, "a__float8": 0.5, "a__float8__text": "f"}])
        # Of a field and of what another one's value would be called, both new in one batch, each is stored.
        self.assertEqual(send("newborn", {"id": 2, "a": 1})[2:], [1, 0, 0, 0])
        self.assertEqual(send("newborn", {"id": 2, "a": "x"}, {"id": 2, "a__text": 5})[2:], [2, 0, 0, 0])
        self.assertEqual(rows("newborn"), [{"id": 2, "a": 1}, {"id": 2, "a__text": "x"}, {"id": 2, "a__text": "5"}])


if __name__ == "__main__":
    unittest.main(verbosity=2)
