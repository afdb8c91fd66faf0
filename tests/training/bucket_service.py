"""What TensorStore asks of a bucket, answered over the loopback: Cloud Storage's JSON API on a stand-in's files."""

import contextlib
import itertools
import json
import os
import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest import mock
from urllib.parse import parse_qs, unquote, urlsplit

from benchmarks.slow_bucket import Bucket, stand_in

# For good: TensorStore would else look for credentials on the network, whenever one of its threads asks next.
os.environ.setdefault("GOOGLE_AUTH_TOKEN_FOR_TESTING", "none")


@contextlib.contextmanager
def bucket_service(monkeypatch) -> Iterator[Bucket]:
    """Puts one empty bucket behind `gs://` for epath and for TensorStore, which has a client of its own.

    Source: https://cloud.google.com/storage/docs/json_api/v1/objects; the environment variables are those of
    https://google.github.io/tensorstore/kvstore/gcs.
    """
    with stand_in() as bucket:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(bucket))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        monkeypatch.setenv("TENSORSTORE_GCS_HTTP_URL", f"http://127.0.0.1:{server.server_port}")
        try:
            # It asks Google's own client, which knows no other address.
            with mock.patch(
                "orbax.checkpoint._src.path.gcs_utils.is_hierarchical_namespace_enabled", lambda path: False
            ):
                yield bucket
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _handler_of(bucket: Bucket) -> type[BaseHTTPRequestHandler]:
    lock = threading.Lock()
    seen: dict[str, tuple[int, int]] = {}  # checksum and generation by name
    generations = itertools.count(1)

    def generation(name: str) -> int:
        checksum = zlib.crc32(bucket.store[name].getbuffer())
        if seen.get(name, (None, 0))[0] != checksum:
            seen[name] = (checksum, next(generations))
        return seen[name][1]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def answer(self, status: int, content: bytes = b"", **headers: object) -> None:
            self.send_response(status)
            for header, value in {"Content-Length": len(content), **headers}.items():
                self.send_header(header.replace("_", "-"), str(value))
            self.end_headers()
            self.wfile.write(content)

        def asked(self) -> tuple[str, dict[str, str]]:
            """The name that a request is about, and its options."""
            parts = urlsplit(self.path)
            bucket_name, _, rest = parts.path.partition("/b/")[2].partition("/o")
            options = {key: values[0] for key, values in parse_qs(parts.query).items()}
            return f"/{bucket_name}/{options.get('name') or unquote(rest.removeprefix('/'))}", options

        def described(self, name: str) -> dict[str, str]:
            size = len(bucket.store[name].getbuffer())
            return {"name": name.split("/", 2)[2], "size": str(size), "generation": str(generation(name))}

        def is_as_expected(self, name: str, options: dict[str, str]) -> bool:
            here = str(generation(name)) if name in bucket.store else "0"
            return options.get("ifGenerationMatch", here) == here

        def do_GET(self):
            name, options = self.asked()
            with lock:
                bucket.requests["GET"] += 1
                if name.count("/") == 2 and name.endswith("/"):  # a list
                    start = name + options.get("prefix", "")
                    items = [self.described(each) for each in sorted(bucket.store) if each.startswith(start)]
                    return self.answer(200, json.dumps({"items": items}).encode(), Content_Type="application/json")
                if name not in bucket.store:
                    return self.answer(404)
                if "alt" not in options:
                    return self.answer(200, json.dumps(self.described(name)).encode(), Content_Type="application/json")
                content = bytes(bucket.store[name].getbuffer())
                marks = {"x_goog_generation": generation(name)}
                if options.get("ifGenerationNotMatch") == str(generation(name)):
                    return self.answer(304, **marks)
                wanted = self.headers.get("Range")
                if not wanted:
                    return self.answer(200, content, **marks)
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                start = int(first) if first else len(content) - int(last)
                end = int(last) + 1 if first and last else len(content)
                part = content[start:end]
                marks["Content_Range"] = f"bytes {start}-{start + len(part) - 1}/{len(content)}"
                return self.answer(206, part, **marks)

        def do_POST(self):
            name, options = self.asked()
            content = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                bucket.requests["POST"] += 1
                if not self.is_as_expected(name, options):
                    return self.answer(412)
                bucket.pipe_file(name, content)
                return self.answer(200, json.dumps(self.described(name)).encode(), Content_Type="application/json")

        def do_DELETE(self):
            name, options = self.asked()
            with lock:
                if name not in bucket.store:
                    return self.answer(404)
                if not self.is_as_expected(name, options):
                    return self.answer(412)
                bucket.rm_file(name)
                return self.answer(204)

    return Handler
