"""Runs schemathesis against each service of one platform; see the script `contract` beside it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Benchmarks"))
from platform_under_test import REPOSITORY, SERVICES, Platform, figure, say, wait_for  # noqa: E402

EXAMPLES = int(os.environ.get("CONTRACT_EXAMPLES", "100"))
SEED = int(os.environ.get("CONTRACT_SEED", "1"))
SECONDS = os.environ.get("CONTRACT_SECONDS")
REPORTS = REPOSITORY / ".build/contract"
NDJSON = "application/x-ndjson"


def prepare(platform):
    """What the documents' examples name is there: a source, a pipeline and a dataset with rows and quarantine."""
    definition = {
        "source": "weblogs",
        "steps": [{"cast": {"status": "int8", "ts": "timestamptz"}}, {"filter": "status <> 204"}],
        "target": {"dataset": "web", "mode": "append"},
    }
    platform.must("PUT", "/v1/pipelines/web", json.dumps(definition))
    records = [{"status": status, "path": f"/{status}", "ts": "2026-01-01T00:00:00Z"} for status in (200, 204, 404)]
    body = "\n".join([json.dumps(record) for record in records] + ["no object", '{"status": "x"}', ""])
    platform.must("POST", "/v1/ingest/weblogs?wait=stored", body, content_type=NDJSON)
    sql = "select status, count(*) as hits from web group by status limit {{n:int8=10}}"
    platform.must("PUT", "/v1/endpoints/hits_by_status", json.dumps({"sql": sql, "cache_ttl": "1m"}))
    platform.must("PUT", "/v1/rollups/hits_by_path", json.dumps({
        "dataset": "web", "time": {"column": "ts", "grain": "minute"}, "dimensions": ["path"],
        "measures": {"hits": "count()", "bytes": "sum(status)", "p99": "quantile(status, 0.99)"}}))
    wait_for("the rollup", lambda: platform.must("GET", "/v1/rollups/hits_by_path")["state"] == "ready")


def check(platform, service):
    """Whether a service holds to its document, and how many seconds that took to say."""
    report = REPORTS / f"{service}.json"
    report.unlink(missing_ok=True)
    command = [
        str(REPORTS / "venv/bin/schemathesis"), "--config-file", str(Path(__file__).with_name("schemathesis.toml")),
        "run", f"http://127.0.0.1:{platform.port_of(service)}/openapi.json",
        "--header", f"Authorization: Bearer {platform.key}", "--checks", "all",
        "--max-examples", str(EXAMPLES), "--seed", str(SEED), *(["--max-time", SECONDS] if SECONDS else []),
        "--report", "json", "--report-json-path", str(report),
    ]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    start = time.monotonic()
    status = subprocess.run(command, cwd=Path(__file__).parent, env=environment, stdin=subprocess.DEVNULL).returncode
    return status == 0, time.monotonic() - start


def main():
    services = sys.argv[1:] or SERVICES
    if unknown := set(services) - set(SERVICES):
        sys.exit(f"contract: there is no service {', '.join(sorted(unknown))}")
    REPORTS.mkdir(parents=True, exist_ok=True)
    say(f"contract: seed {SEED}, at most {EXAMPLES} examples an operation")
    failed = []
    with Platform(port=int(os.environ.get("CONTRACT_PORT", "18680"))) as platform:
        platform.wait_until_ready()
        prepare(platform)
        for service in services:
            before = platform.processes()
            holds, seconds = check(platform, service)
            ended = [command for pid, command in before.items()
                     if "millrace-" in command and pid not in platform.processes()]
            for command in ended:
                say(f"contract: ended while {service} was asked: {command}")
            if ended or not holds:
                failed.append(service)
            figure(contract=service, examples=EXAMPLES, seed=SEED, seconds=seconds, holds=holds and not ended)
    if failed:
        sys.exit(f"contract: not as described: {', '.join(failed)}")


if __name__ == "__main__":
    main()
