"""A server on this machine that answers as it is told, for tests of the clients."""

import contextlib
import dataclasses
import http.server
import threading
import time
import urllib.parse
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

import pytest


@dataclasses.dataclass(frozen=True)
class Answer:
    """One answer: `silent_seconds` pass before it, the connection closes after `cut_after` bytes of the body."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    cut_after: int | None = None
    silent_seconds: float = 0
    announces_length: bool = True


@dataclasses.dataclass
class Request:
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]


class Server:
    """Answers a path with its answers one after the other, the last one again and again.

    An answer with `Accept-Ranges` is served from where a request asks, if its `ETag` is that of If-Range.
    """

    def __init__(self, url: str):
        self.url = url
        self.answers: dict[str, list[Answer | Callable]] = {}
        self.requests: list[Request] = []
        self._served = defaultdict(int)

    def answer(self, path: str, *answers: Answer) -> str:
        self.answers[path] = list(answers)
        self._served[path] = 0
        return self.url + path

    def next_answer(self, request: Request) -> Answer:
        answers = self.answers.get(request.path, [Answer(b"nothing here", 404)])
        answer = answers[min(self._served[request.path], len(answers) - 1)]
        self._served[request.path] += 1
        return answer

    def ranges(self, path: str) -> list[str | None]:
        return [request.headers.get("Range") for request in self.requests if request.path == path]


def _handler(server: Server) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            parts = urllib.parse.urlsplit(self.path)
            request = Request(
                urllib.parse.unquote(parts.path), dict(urllib.parse.parse_qsl(parts.query)), dict(self.headers)
            )
            server.requests.append(request)
            self._send(server.next_answer(request))

        do_GET = do_HEAD = answer  # noqa: N815 - the names that the base class calls

        def _send(self, answer: Answer):
            time.sleep(answer.silent_seconds)
            body, status, extra = answer.body, answer.status, {}
            wanted = self.headers.get("Range")
            if wanted and answer.headers.get("Accept-Ranges") == "bytes" and status == 200:
                start = int(wanted.removeprefix("bytes=").partition("-")[0])
                if self.headers.get("If-Range", answer.headers.get("ETag")) == answer.headers.get("ETag"):
                    if start >= len(body):
                        body, status = b"", 416
                    else:
                        extra["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
                        body, status = body[start:], 206
            self.send_response(status)
            for name, value in {**answer.headers, **extra}.items():
                self.send_header(name, value)
            if answer.announces_length:
                self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            if self.command == "GET":
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(body[: answer.cut_after])

        def log_message(self, *_):
            pass

    return Handler


@contextlib.contextmanager
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    server = Server("")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(server)) as listening:
        listening.daemon_threads = True
        server.url = f"http://127.0.0.1:{listening.server_port}"
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self):
        self.seconds = 0.0
        self.sleeps = []

    def read(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.seconds += seconds
