"""Millrace's HTTP contract, as much of it as the demo needs."""

import http.client
import json

from settings import Failure


class Client:
    def __init__(self, port, key, host="127.0.0.1"):
        self.host = host
        self.port = port
        self.key = key

    def call(self, method, path, body=None, content_type="application/json", headers=None):
        """The status and the parsed answer; anything but a 2xx is a Failure that says what the service said."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {self.key}", **(headers or {})}
        if body is not None:
            sent["Content-Type"] = content_type
        connection = http.client.HTTPConnection(self.host, self.port, timeout=90)
        try:
            connection.request(method, path, body=body, headers=sent)
            answer = connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise Failure(f"{method} {path}: {error}") from None
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            raise Failure(f"{method} {path}: {answer.status} {text.strip()[:1000]}")
        return answer.status, json.loads(text) if text else None

    def put_pipeline(self, name, definition):
        self.call("PUT", f"/v1/pipelines/{name}", definition)

    def send(self, source, body, content_type, key):
        """Sends records and waits until they are stored; the receipt."""
        status, receipt = self.call(
            "POST", f"/v1/ingest/{source}?wait=stored&timeout=60s", body, content_type, {"Idempotency-Key": key})
        if status != 200:
            raise Failure(f"records for {source} were accepted, but not stored within a minute: {receipt}")
        return receipt

    def query(self, sql):
        """(column names, rows)"""
        _, answer = self.call("POST", "/v1/query", {"sql": sql})
        return [column["name"] for column in answer["columns"]], answer["rows"]

    def quarantine(self, dataset, limit):
        _, answer = self.call("GET", f"/v1/datasets/{dataset}/quarantine?limit={limit}")
        return answer["items"]
