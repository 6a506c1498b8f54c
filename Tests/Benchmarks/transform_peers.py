"""What people write by hand instead of a pipeline, and dlt; each prints one line of JSON.

    transform_peers.py orjson FILE              the steps of bench_transform.STEPS as a loop over lines
    transform_peers.py dlt FILE COUNT URL       the first COUNT records into a new table, by dlt's own defaults
"""

import json
import sys
import time


def loop(path):
    import orjson

    begun = time.process_time()
    kept = records = 0
    with open(path, "rb") as file:
        for line in file:
            records += 1
            record = orjson.loads(line)
            status = record["status"]
            record["is_error"] = status >= 500
            record["seconds"] = record["latency_ms"] / 1000.0
            record["section"] = record["path"].split("/")[1]
            record["kind"] = record["kind"].upper()
            record["shard"] = record["user_id"] % 64
            record["label"] = record["kind"] + ":" + str(status)
            if record["status"] < 300:
                orjson.dumps(record)
                kept += 1
    return {"records": records, "rows": kept, "seconds": time.process_time() - begun}


def load(path, count, url):
    import itertools

    import dlt

    def rows():
        with open(path, "rb") as file:
            for line in itertools.islice(file, count):
                yield json.loads(line)

    begun = time.monotonic()
    pipeline = dlt.pipeline("bench", destination=dlt.destinations.postgres(url), dataset_name="peer_dlt")
    pipeline.run(rows(), table_name="loaded")
    return {"records": count, "seconds": time.monotonic() - begun}


def main():
    mode, path, *rest = sys.argv[1:]
    result = loop(path) if mode == "orjson" else load(path, int(rest[0]), rest[1])
    print(json.dumps(result))


if __name__ == "__main__":
    main()
