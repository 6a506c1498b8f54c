"""A collector that takes OTLP over HTTP as JSON, parses it strictly, and keeps the spans."""

import base64
import http.server
import json
import threading
import time

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def in_base64(value):
    """OTLP's JSON has ids as hexadecimal digits; protobuf's own has bytes in base64."""
    if isinstance(value, dict):
        for name, member in value.items():
            if name in ("traceId", "spanId", "parentSpanId"):
                assert len(member) == (32 if name == "traceId" else 16) and member == member.lower(), member
                value[name] = base64.b64encode(bytes.fromhex(member)).decode()
            else:
                in_base64(member)
    elif isinstance(value, list):
        for member in value:
            in_base64(member)
    return value


class Span:
    def __init__(self, span, service):
        self.service = service
        self.trace, self.id, self.parent = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
        self.name, self.kind = span.name, span.kind
        self.start, self.end = span.start_time_unix_nano, span.end_time_unix_nano
        self.status = span.status
        self.links = [(link.trace_id.hex(), link.span_id.hex()) for link in span.links]
        self.attributes = {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}

    def __repr__(self):
        return f"{self.service} {self.name} {self.trace[:6]}/{self.id[:6]}<{self.parent[:6]} {self.attributes}"


class Collector:
    """`hangs` set: takes requests and does not answer them."""

    def __init__(self):
        self.spans, self.faults, self.requests = [], [], 0
        self.changed = threading.Condition()
        self.hangs = threading.Event()
        self.goes_on = threading.Event()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if collector.hangs.is_set():
                    collector.goes_on.wait()
                collector.take(self.path, self.headers, body)
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def take(self, path, headers, body):
        try:
            assert path == "/v1/traces" and headers["content-type"] == "application/json", (path, dict(headers))
            request = json_format.Parse(json.dumps(in_base64(json.loads(body))), ExportTraceServiceRequest(),
                                        ignore_unknown_fields=False)
        except Exception as error:  # noqa: BLE001 - whatever it is, a test shows it
            self.faults.append(repr(error))
            return
        with self.changed:
            self.requests += 1
            for resource in request.resource_spans:
                attributes = {a.key: a.value.string_value for a in resource.resource.attributes}
                for scope in resource.scope_spans:
                    self.spans += [Span(span, attributes["service.name"]) for span in scope.spans]
            self.changed.notify_all()

    def of(self, trace):
        with self.changed:
            return [span for span in self.spans if span.trace == trace]

    def wait(self, condition, seconds=30):
        """What the condition makes of all spans, once that is true."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while not (found := condition(self.spans)):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"not within {seconds} s; {self.faults} {self.spans[-60:]}")
                self.changed.wait(left)
            return found

    def close(self):
        self.goes_on.set()
        self.server.shutdown()
        self.server.server_close()
