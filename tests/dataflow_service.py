"""A stand-in for the Dataflow service on this machine: it keeps what is submitted, and gives prepared answers."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from faceloom.pipelines.run.runners import DataflowBuild
from tests.object_stores import serving

IMAGE = "europe-west4-docker.pkg.dev/some-project/faceloom/worker:0.2.0"


@dataclass
class Job:
    """A job that was submitted.

    Attributes:
        id: that the service gives it.
        request: what was sent.
        state: such as `DONE`.
        counters: values by namespace and name.
        messages: texts of errors.
    """

    id: str
    request: dict[str, Any]
    state: str = "PENDING"
    counters: dict[tuple[str, str], int] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    @property
    def options(self) -> dict[str, Any]:
        """The options of Beam that workers get."""
        found: dict[str, Any] = self.request["environment"]["sdkPipelineOptions"]["options"]
        return found

    @property
    def pool(self) -> dict[str, Any]:
        """What is asked of the workers."""
        found: dict[str, Any] = self.request["environment"]["workerPools"][0]
        return found

    def as_json(self) -> dict[str, Any]:
        """As the service answers."""
        return {"id": self.id, "name": self.request["name"], "currentState": f"JOB_STATE_{self.state}"}


class Service:
    """The service. `run` does a job, in a thread of its own; by default it is done at once.

    Attributes:
        jobs: what was submitted.
        refuse: called with method and path; returns a status and a message to answer instead, or None.
        seen: methods and paths of all requests.
    """

    def __init__(self) -> None:
        self.address = ""
        self.jobs: list[Job] = []
        self.seen: list[tuple[str, str]] = []
        self.run: Callable[[Job], None] = lambda job: setattr(job, "state", "DONE")
        self.refuse: Callable[[str, str], tuple[int, str] | None] = lambda method, path: None

    def dataflow(self, *options: str, **values: Any) -> DataflowBuild:
        """The runner whose jobs come here."""
        own = (f"--dataflow_endpoint={self.address}", "--no_auth")
        return DataflowBuild("some-project", "europe-west4", IMAGE, (*own, *options), **values)

    def _do(self, job: Job) -> None:
        try:
            self.run(job)
        except Exception as error:
            job.messages, job.state = [f"{type(error).__name__}: {error}"], "FAILED"

    def answer(self, method: str, path: str, sent: Any) -> tuple[int, Any]:
        """Status and content of an answer."""
        self.seen.append((method, path))
        if refused := self.refuse(method, path):
            status, message = refused
            return status, {"error": {"code": status, "message": message, "status": "REFUSED"}}
        parts = path.strip("/").split("/")  # v1b3, projects, P, locations, R, jobs, ID, …
        if method == "POST":
            active = [job for job in self.jobs if job.request["name"] == sent["name"]]
            if active and active[-1].state in ("PENDING", "RUNNING"):
                return 200, active[-1].as_json() | {"clientRequestId": active[-1].request["clientRequestId"]}
            job = Job(f"2026-11-26_{len(self.jobs)}", sent, "RUNNING")
            self.jobs.append(job)
            threading.Thread(target=self._do, args=(job,), daemon=True).start()
            return 200, job.as_json() | {"clientRequestId": sent["clientRequestId"]}
        job = next(job for job in self.jobs if job.id == parts[6])
        if method == "PUT":
            job.state = {5: "CANCELLED"}[sent["requestedState"]]
        what = parts[7] if len(parts) > 7 else ""
        if what == "metrics":
            pairs = [pair for key, value in job.counters.items() for pair in _metrics(*key, value)]
            return 200, {"metrics": pairs}
        if what == "messages":
            of_error = "JOB_MESSAGE_ERROR"
            return 200, {"jobMessages": [{"messageText": t, "messageImportance": of_error} for t in job.messages]}
        return 200, job.as_json()


def _metrics(namespace: str, name: str, value: int) -> list[dict[str, Any]]:
    """A counter as the service gives it: with the work that is running, and without."""
    context = {"namespace": namespace, "step": "ref_AppliedPTransform_Do_1"}
    finished = {"name": {"origin": "user", "name": name, "context": context}, "scalar": value - 1}
    running = {"name": {"origin": "user", "name": name, "context": context | {"tentative": "true"}}, "scalar": value}
    return [running, finished]


@contextlib.contextmanager
def dataflow_service() -> Iterator[Service]:
    """A service for a block."""
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, content = service.answer(self.command, urlsplit(self.path).path, json.loads(data or b"null"))
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = respond

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as address:
        service.address = address.replace("127.0.0.1", "localhost")  # Beam speaks gRPC to all others
        yield service
