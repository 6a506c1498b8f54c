"""Two parsers of Python programs: h11, and httptools, which is Node's llhttp. Each is driven as a server drives it: a
request that ends the connection is the last one, and the limit of a head is ours."""

import h11
import httptools

from reading import Reading, request_text

HEAD_LIMIT = 32 * 1024


def h11_reading(octets):
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)
    connection.receive_data(octets)
    requests, head, body = [], None, b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                head, body = event, b""
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                requests.append(request_text(*(part.decode("latin-1") for part in (head.method, head.target, body))))
                connection.send(h11.Response(status_code=404, headers=[("Content-Length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE:
                    return Reading(tuple(requests), False)
                connection.start_next_cycle()
            else:
                return Reading(tuple(requests), False)
    except h11.RemoteProtocolError:
        return Reading(tuple(requests), True)


class LastRequest(Exception):
    """Ends the parser at the end of the connection's last request."""


class Collector:
    def __init__(self):
        self.requests = []
        self.parser = httptools.HttpRequestParser(self)

    def on_message_begin(self):
        self.target = b""
        self.body = b""

    def on_url(self, url):
        self.target += url

    def on_body(self, body):
        self.body += body

    def on_message_complete(self):
        parts = (self.parser.get_method(), self.target, self.body)
        self.requests.append(request_text(*(part.decode("latin-1") for part in parts)))
        if not self.parser.should_keep_alive():
            raise LastRequest


def httptools_reading(octets):
    collector = Collector()
    refused = False
    try:
        collector.parser.feed_data(octets)
    except httptools.HttpParserUpgrade:
        pass  # what follows is another protocol's
    except httptools.HttpParserCallbackError as error:
        refused = not isinstance(error.__context__, LastRequest)
    except httptools.HttpParserError:
        refused = True
    return Reading(tuple(collector.requests), refused)
