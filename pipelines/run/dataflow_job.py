"""A job on Dataflow: wait for its end, report its progress, cancel it."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

from faceloom.pipelines.run.dataflow_errors import AGAIN, quota_remedy, service_errors
from faceloom.pipelines.run.dataflow_worker import COUNTERS, ITEMS, SECONDS, Work
from faceloom.pipelines.run.runners import DataflowBuild, OnCount, OnNote
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, StorageError, WorkerError, error_from_json

_POLL_SECONDS = 10.0
_MESSAGE_SECONDS = 30.0
"""The cause of a failure often comes after the state."""
_CANCEL_SECONDS = 3.0
_MOST_FAULT_BYTES = 2**20


class RunningJob:
    """A job that was started.

    Attributes:
        id: that the service gave it.
        url: of its page in the console.
        goes_on: whether it may still run.
    """

    def __init__(self, result: Any, client: Any, dataflow: DataflowBuild, work: Work) -> None:
        self._result, self._client, self._dataflow, self._work = result, client, dataflow, work
        self.id: str = result.job_id()
        self.goes_on = True
        self.url = (
            f"https://console.cloud.google.com/dataflow/jobs/{dataflow.region}/{self.id}?project={dataflow.project}"
        )
        self._by_hand = (
            f"`gcloud dataflow jobs cancel {self.id} --region {dataflow.region} --project {dataflow.project}`"
        )

    def wait(self, on_count: OnCount, on_note: OnNote) -> dict[str, float]:
        """Wait until the job is done; returns seconds by kind of work. Anything that ends the wait, cancels the job.

        Raises:
            FaceloomError: a task raised it.
            WorkerError: the job failed or was cancelled, or the service cannot be asked; then the job goes on.
        """
        from apache_beam.runners.runner import PipelineState

        on_note(f"Dataflow job {self.id}: {self.url}")
        going_on = f"The job goes on: {self.url}. Cancel it with {self._by_hand}, or wait until it is done. {AGAIN}"
        try:
            with service_errors(self._dataflow, going_on):
                shown = 0
                while True:
                    state = self._result.state
                    counters = self._counters()
                    shown = max(shown, counters.get((COUNTERS, ITEMS), 0))
                    on_count(shown)
                    if PipelineState.is_terminal(state):
                        self.goes_on = False
                        break
                    time.sleep(_POLL_SECONDS)
        except WorkerError:
            raise
        except BaseException:
            on_note(self._cancel())
            raise
        if state != PipelineState.DONE:
            raise self._failure(state)
        return {name: value / 1e6 for (namespace, name), value in counters.items() if namespace == SECONDS}

    def _counters(self) -> dict[tuple[str, str], int]:
        """Our counters, by namespace and name. Each has a value of finished work, and one that counts running work."""
        found: dict[tuple[str, str], int] = {}
        for metric in self._client.get_job_metrics(self.id).metrics:
            key = str(metric.name.context.get("namespace")), str(metric.name.name)
            if metric.name.origin == "user" and key[0] in (COUNTERS, SECONDS):
                found[key] = max(found.get(key, 0), int(metric.scalar or 0))
        return found

    def _failure(self, state: str) -> FaceloomError:
        if state == "CANCELLED":  # an error that a task left may be one that a later try has mended
            return WorkerError("the Dataflow job was cancelled", where=self.url, remedy=AGAIN)
        message, error = self._cause(), self._noted_error()
        # An error that a later try has mended is not the cause, which the service names.
        if error and (not message or error.what in message):
            error.what = f"{error.what} (on Dataflow, four times; {self.url})"
            return error
        remedy = quota_remedy(message) or f"Read the logs of its workers at this address. {AGAIN}"
        return WorkerError(f"the Dataflow job ended as {state}", where=self.url, value=message, remedy=remedy)

    def _noted_error(self) -> FaceloomError | None:
        """The error that a task left in the output, if one did."""
        with contextlib.suppress(StorageError, ValueError):
            return error_from_json(Storage(self._work.folder).read_bytes(self._work.fault, _MOST_FAULT_BYTES).decode())
        return None

    def _cause(self) -> str:
        """The last message of the service that is an error and not just the count of attempts."""
        end = time.monotonic() + _MESSAGE_SECONDS
        while True:
            texts: list[str] = []
            token = None
            with contextlib.suppress(Exception):  # the failure is to be reported, whatever is known of it
                while True:
                    messages, token = self._client.list_messages(
                        self.id, page_token=token, minimum_importance="JOB_MESSAGE_ERROR"
                    )
                    texts += [message.message_text for message in messages]
                    if not token:
                        break
            if texts or time.monotonic() > end:
                causes = [text for text in texts if "work item was attempted" not in text]
                return (causes or texts or [""])[-1].strip()
            time.sleep(1)

    def _cancel(self) -> str:
        """Ask the service to cancel the job, for a few seconds; returns what the user should know."""
        asked = threading.Event()

        def ask() -> None:
            with contextlib.suppress(Exception):
                self._result.cancel()
                asked.set()

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(_CANCEL_SECONDS)
        self.goes_on = not asked.is_set()
        if asked.is_set():
            return f"The Dataflow job {self.id} is being cancelled. Its machines stop within minutes: {self.url}"
        return f"The Dataflow job {self.id} could not be cancelled. Run {self._by_hand}: {self.url}"
