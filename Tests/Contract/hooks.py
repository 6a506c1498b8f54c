"""What schemathesis has to know beside the documents: how bodies are written, and which refusals JSON Schema cannot
say in advance."""

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson", "text/csv")
def as_text(_context, value):
    """Bodies of lines are described as strings; what is generated against that is sent as JSON."""
    if isinstance(value, bytes):
        return value
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "surrogatepass")


# A request that a document allows may still be refused with these codes. Each says why no schema can tell.
REFUSALS = {
    "invalid_cursor": "a cursor is opaque, and of one list",
    "confirmation_required": "?confirm= must repeat the name in the path",
    "precondition_failed": "If-Match must name the version that is there",
    "idempotency_mismatch": "an earlier request with the same key had another body",
    "empty_body": "white space alone holds no record",
    "malformed_body": "CSV needs a header row, and an array of JSON records objects",
    "invalid_encoding": "a body in a content coding is generated without it",
    "invalid_endpoint": "SQL is no JSON Schema, nor are the ranges of durations",
    "invalid_dashboard": "SQL is no JSON Schema, nor are the ranges of durations, and a schema counts no bytes",
    "invalid_rollup": "its columns are those of a dataset, and measures are no JSON Schema",
    "invalid_query": "SQL is no JSON Schema",
    "query_not_allowed": "SQL is no JSON Schema",
    "query_failed": "SQL is no JSON Schema",
    "invalid_expression": "the expression language is no JSON Schema",
    "invalid_pipeline": "its expressions, patterns and the columns that a step leaves to the next",
    "range_not_satisfiable": "how long a file is",
    "upgrade_required": "the stream is a WebSocket, which schemathesis does not speak; test_streams.py does",
}

# Of these codes, only faults whose message has this text: what depends on two parts of a request, or a range that a
# schema cannot have.
FAULTS = {
    "invalid_parameter": [
        "timeout: goes with wait=stored",
        "timeout: expected at least 1s",
        "timeout: expected at most 30d",
        "wait: expected at most 1m",
        "there is no column",  # columns= and order= name those of one dataset
        "names a column twice",
        "names no column",
        "jsonb has no order",
        "at most 8 columns",
        "do not make up a",  # grain= and a rollup's own
        "there is no dimension",
        "names a dimension twice",
        "in the answer",
        "fill: needs from and to",
        "fill: has more than",
        "expected a time as",  # years and offsets that PostgreSQL does not have
        "or has U+0000",  # a name of a list
        "threshold: expected a number above 0",  # some that are written so are none
    ],
    "conflict": ["it has no data yet"],
    "invalid_source": ["must be 1s to 7d", "must be 1h to 3650d", "must be 0s to 1s"],
    "invalid_schedule": [
        "cron: ",  # ranges that run backwards, values of each field, days that never come
        "timezone: there is no time zone",
        "start.pipeline: there is no pipeline",
        "start.window: must be 1m to 3650d",
        "start.action: the pipeline",  # whether that reads a source or a dataset
    ],
    "invalid_dataset": [
        "not among the columns",
        "is declared twice",
        "names a column twice",
        "must have 1 to 63 bytes",  # a schema counts characters
        "only text has a collation",
        "jsonb cannot be a key",
        "must be timestamptz or date",
        "retention: needs \"partition\"",
        "partition: needs a \"time_column\"",
        "primary_key: must hold the time_column",
        "for partitions by",  # a range of durations
    ],
    "invalid_request": [
        "expires_in: must be 1m to 3650d",
        "overlap: must be 0s to 30d",
        "name: must have 1 to 100 characters",  # the configured key's name
        "limit: expected an integer from 0 to 1000000",  # of JSON only
        "expected no U+0000 and no array within an array",
        "timeout: expected more than 0",  # 5e-324 s are none
        "timeout: must be 1s to 30d",
        "to: must be after from",
        "from: expected a time such as",  # years and offsets that PostgreSQL does not have
        "to: expected a time such as",
        "there is no such batch of the source",
        "expected a batch's id",  # beyond 64 bits
        "expected the ids of 1 to 1000 batches",
        "pipeline: there is no pipeline",
        "where: at most 16384 bytes",  # a schema counts characters
        "reason: does not go with codes",  # unless one of the two is null
    ],
}


def is_expected(problem):
    code = problem.get("code")
    if code in REFUSALS:
        return True
    faults = problem.get("errors") or [{"path": "", "message": problem.get("detail", "")}]
    texts = [f"{fault['path']}: {fault['message']}" for fault in faults]
    return code in FAULTS and all(any(known in text for known in FAULTS[code]) for text in texts)


@schemathesis.hook
def filter_failure(_context, failure, case, response):
    """False for what is no failure: a request that was allowed and refused for a reason above; a key that was revoked
    and can still be looked at; an answer that did not come within the milliseconds that the request allowed it."""
    if type(failure).__name__ == "UseAfterFree":
        return case.operation.path != "/v1/keys/{id}"
    if type(failure).__name__ == "ServerError" and response.status_code == 504:
        return "timeout" not in (case.query or {})
    if type(failure).__name__ != "RejectedPositiveData":
        return True
    try:
        return not is_expected(response.json())
    except ValueError:
        return True
