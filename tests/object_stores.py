"""Object stores on this machine: S3 by moto, Google Cloud Storage by an emulator, and a proxy that causes faults."""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import format_datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

BUCKET = "faces"
_HOPS = ("connection", "content-length")
_KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}


@contextlib.contextmanager
def s3_server(through: Callable[[str], Any] | None = None) -> Iterator[str]:
    """An S3 store with one bucket; the environment names it. Yields the URL of the bucket.

    Args:
        through: makes a context manager of a server in front of it, given its address.
    """
    pytest.importorskip("obstore", reason="needs the extra `cloud`")
    server = pytest.importorskip("moto.server", reason="needs moto, of the extra `dev`")
    from moto.backends import get_backend
    from moto.core.models import DEFAULT_ACCOUNT_ID

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    try:
        host, port = moto.get_host_and_port()
        get_backend("s3")[DEFAULT_ACCOUNT_ID]["aws"].reset()
        get_backend("s3")[DEFAULT_ACCOUNT_ID]["aws"].create_bucket(BUCKET, "us-east-1")
        address = f"http://{host}:{port}"
        with contextlib.ExitStack() as stack:
            address = stack.enter_context(through(address)) if through else address
            stack.enter_context(mock.patch.dict(os.environ, {**_KEYS, "AWS_ENDPOINT_URL": address}))
            stack.enter_context(fresh_clients())
            yield f"s3://{BUCKET}"
    finally:
        moto.stop()


@contextlib.contextmanager
def fresh_clients() -> Iterator[None]:
    """Forget the stores that are open: they keep the address of an earlier server."""
    from faceloom.pipelines.store import object_client

    object_client._opened.cache_clear()
    yield
    object_client._opened.cache_clear()


@contextlib.contextmanager
def gcs_server(through: Callable[[str], Any] | None = None) -> Iterator[str]:
    """A store of Google Cloud Storage with one bucket; the environment names it. Yields the URL of the bucket.

    The emulator speaks the JSON API. Its objects can also be reached by the XML API, which obstore speaks.
    """
    pytest.importorskip("obstore", reason="needs the extra `cloud`")
    emulator = pytest.importorskip("gcp_storage_emulator.server", reason="needs gcp-storage-emulator, of `dev`")
    from gcp_storage_emulator.handlers import buckets
    from gcp_storage_emulator.storage import Storage

    logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
    storage = Storage(use_memory_fs=True)
    buckets.create_bucket(BUCKET, storage)
    handler = type("Handler", (_XmlApi, emulator.RequestHandler), {"lock": threading.RLock(), "uploads": {}})
    with contextlib.ExitStack() as stack:
        address = stack.enter_context(serving(partial(handler, storage)))
        address = stack.enter_context(through(address)) if through else address
        stack.enter_context(mock.patch.dict(os.environ, {"STORAGE_EMULATOR_HOST": address}))
        stack.enter_context(fresh_clients())
        yield f"gs://{BUCKET}"


@contextlib.contextmanager
def serving(handler: Any) -> Iterator[str]:
    """Run a handler of requests in threads. Yields its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=partial(server.serve_forever, 0.02), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _XmlApi(BaseHTTPRequestHandler):
    """The part of the XML API of Google Cloud Storage that obstore uses, on the objects of the emulator."""

    protocol_version = "HTTP/1.1"
    storage: Any
    lock: threading.RLock
    uploads: dict[str, dict[int, bytes]]

    def parse_request(self) -> bool:
        done = super().parse_request()
        parts = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        self.bucket, _, self.key = unquote(parts.path).lstrip("/").partition("/")
        if done and self.bucket not in ("storage", "upload", "download", "batch", "b", ""):
            self.command = f"XML_{self.command}"
        return done

    def _answer(self, status: int, body: bytes = b"", found: Any = None, **headers: str) -> None:
        self.send_response(status)
        if found is not None:
            headers |= {"ETag": f'"{found["generation"]}"', "x-goog-generation": str(found["generation"])}
            headers["Last-Modified"] = format_datetime(_time(found), usegmt=True)
        headers.setdefault("Content_Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "XML_HEAD":
            self.wfile.write(body)

    def _found(self, key: str) -> Any:
        from gcp_storage_emulator.exceptions import NotFound

        try:
            return self.storage.get_file_obj(self.bucket, key)
        except NotFound:
            return None

    def _missing(self) -> None:
        self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    def do_XML_HEAD(self) -> None:
        if found := self._found(self.key):
            return self._answer(200, found=found, Content_Length=str(found["size"]))
        return self._missing()

    def do_XML_GET(self) -> None:
        if self.storage.get_bucket(self.bucket) is None:
            return self._answer(404, b"<Error><Code>NoSuchBucket</Code></Error>")
        if not self.key:
            return self._list()
        with self.lock:
            found = self._found(self.key)
            data = self.storage.get_file(self.bucket, self.key, show_error=False) if found else b""
        if not found:
            return self._missing()
        if self.headers.get("If-Match", "").strip('"') not in ("", str(found["generation"])):
            return self._answer(412)
        if not (asked := self.headers.get("Range")):
            return self._answer(200, data, found)
        first, last = (int(text) for text in asked.removeprefix("bytes=").split("-"))
        if first >= len(data):
            return self._answer(416)
        piece = data[first : last + 1]
        span = f"bytes {first}-{first + len(piece) - 1}/{len(data)}"
        return self._answer(206, piece, found, Content_Range=span)

    def _list(self) -> None:
        prefix, delimiter = self.query.get("prefix", ""), self.query.get("delimiter", "")
        with self.lock:
            listed, prefixes = self.storage.get_file_list(self.bucket, prefix or None, delimiter or None)
        after, most = self.query.get("continuation-token") or self.query.get("start-after", ""), 100
        listed = sorted((one for one in listed if one["name"] > after), key=lambda one: one["name"])
        page, more = listed[:most], len(listed) > most
        items = "".join(
            f"<Contents><Key>{escape(one['name'])}</Key><Size>{one['size']}</Size><ETag>{one['generation']}</ETag>"
            f"<LastModified>{one['updated']}</LastModified></Contents>"
            for one in page
        )
        items += "".join(f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>" for one in prefixes)
        token = f"<NextContinuationToken>{escape(page[-1]['name'])}</NextContinuationToken>" if more else ""
        self._answer(200, f"<ListBucketResult>{items}{token}</ListBucketResult>".encode())

    def do_XML_PUT(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "uploadId" in self.query:
            self.uploads[self.query["uploadId"]][int(self.query["partNumber"])] = data
            return self._answer(200, ETag=f'"{self.query["partNumber"]}"')
        return self._put(data)

    def _put(self, data: bytes, body: str = "") -> None:
        from gcp_storage_emulator.handlers import objects

        if self.storage.get_bucket(self.bucket) is None:
            return self._answer(404, b"<Error><Code>NoSuchBucket</Code></Error>")
        with self.lock:
            found, wanted = self._found(self.key), self.headers.get("x-goog-if-generation-match")
            if wanted is not None and wanted != str(found["generation"] if found else 0):
                return self._answer(412)
            made = objects._make_object_resource(
                "http://localhost", self.bucket, self.key, "application/octet-stream", str(len(data))
            )
            self.storage.create_file(self.bucket, self.key, data, made)
            found = self._found(self.key)
        return self._answer(200, body.format(found["generation"]).encode(), found)

    def do_XML_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "uploads" in self.query:
            number = str(time.monotonic_ns())
            self.uploads[number] = {}
            return self._answer(200, f"<R><UploadId>{number}</UploadId></R>".encode())
        pieces = self.uploads.pop(self.query["uploadId"])
        return self._put(b"".join(pieces[number] for number in sorted(pieces)), '<R><ETag>"{}"</ETag></R>')

    def do_XML_DELETE(self) -> None:
        if "uploadId" in self.query:
            self.uploads.pop(self.query["uploadId"], None)
            return self._answer(204)
        with self.lock:
            if not self._found(self.key):
                return self._missing()
            self.storage.delete_file(self.bucket, self.key)
        return self._answer(204)


def _time(found: Any) -> Any:
    from datetime import datetime

    return datetime.fromisoformat(found["updated"].replace("Z", "+00:00"))


class Fault:
    """What a proxy does with a request before or instead of passing it on.

    Attributes:
        delay: seconds before each answer.
        answers: called with method and path; returns a status to answer instead, `cut` to send half of the body of an
            answer, `drop` to close the connection without passing the request on, `drop-answer` to pass it on and close
            the connection, `half` to pass on half of the body of a request, `lose` to answer 200 without passing it on.
    """

    def __init__(self) -> None:
        self.delay = 0.0
        self.answers: Callable[[str, str], int | str | None] = lambda method, path: None
        self.seen: list[tuple[str, str]] = []
        self._lock = threading.Lock()

    def times(self, count: int, answer: int | str, method: str = "", path: str = "") -> None:
        """Give this answer to the next `count` requests of a method whose path has this text."""
        left = [count]

        def answers(asked: str, where: str) -> int | str | None:
            with self._lock:
                if left[0] and asked.startswith(method) and path in where:
                    left[0] -= 1
                    return answer
                return None

        self.answers = answers

    @contextlib.contextmanager
    def proxy(self, address: str) -> Iterator[str]:
        """A proxy in front of a server."""
        fault, host = self, urlsplit(address).netloc

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                with contextlib.suppress(ConnectionError):
                    super().handle_one_request()

            def pass_on(self) -> None:
                data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                fault.seen.append((self.command, self.path))
                answer = fault.answers(self.command, self.path)
                time.sleep(fault.delay)
                if isinstance(answer, int) or answer == "lose":
                    self.send_response(200 if answer == "lose" else int(answer))
                    self.send_header("ETag", '"0"')
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                if answer == "drop":
                    self.close_connection = True
                    return
                headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOPS}
                if answer == "half":
                    data = data[: len(data) // 2]
                headers["Content-Length"] = str(len(data))
                upstream = http.client.HTTPConnection(host, timeout=30)
                upstream.request(self.command, self.path, data, headers)
                got = upstream.getresponse()
                body = got.read()
                if answer == "drop-answer":
                    self.close_connection = True
                    return
                self.send_response(got.status)
                for name, value in got.getheaders():
                    if name.lower() not in ("connection", "transfer-encoding", "content-length", "server", "date"):
                        self.send_header(name, value)
                length = got.getheader("Content-Length") if self.command == "HEAD" else str(len(body))
                self.send_header("Content-Length", length or "0")
                self.end_headers()
                if answer == "cut":
                    body, self.close_connection = body[: len(body) // 2], True
                if self.command != "HEAD":
                    self.wfile.write(body)
                upstream.close()

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on

            def log_message(self, *_: object) -> None:
                pass

        with serving(Handler) as front:
            yield front
