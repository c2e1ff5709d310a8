"""What goes wrong between this process and the service, as errors that state what to do."""

from __future__ import annotations

from typing import Any

import pytest

from faceloom.pipelines.run.dataflow_errors import quota_remedy, service_errors
from faceloom.pipelines.run.runners import Dataflow
from faceloom.schemas.errors import SourceError, WorkerError

exceptions: Any = pytest.importorskip("google.api_core.exceptions")
credentials: Any = pytest.importorskip("google.auth.exceptions")
DATAFLOW = Dataflow("some-project", "europe-west4", "i")


def raised(error: Exception, running: str = "") -> str:
    with pytest.raises(WorkerError) as caught, service_errors(DATAFLOW, running):
        raise error
    return str(caught.value)


def errors() -> dict[str, tuple[Exception, str]]:
    from apache_beam.runners.dataflow.internal.apiclient import DataflowJobAlreadyExistsError

    return {
        "403": (exceptions.Forbidden("no"), r"403 no.*roles Dataflow Developer"),
        "404": (exceptions.NotFound("no"), r"404 no.*Check --project and --region"),
        "429": (exceptions.TooManyRequests("no"), r"429 no.*Ask for more quota"),
        "quota": (exceptions.Forbidden("Quota exceeded: CPUS"), r"Ask for more quota"),
        "500": (exceptions.InternalServerError("no"), r"500 no.*Check the status of Dataflow"),
        "active": (DataflowJobAlreadyExistsError("x with id: 7"), r"a job of this stage is active.*7.*Wait until"),
        "credentials": (credentials.DefaultCredentialsError("none"), r"no credentials.*gcloud auth"),
        "option": (ValueError("Invalid GCS path"), r"Beam refuses the job .got Invalid GCS path"),
        "upload": (OSError("Could not upload to GCS path gs://b"), r"cannot be uploaded .got Could.*--temp_location"),
    }


@pytest.mark.parametrize("kind", ["403", "404", "429", "quota", "500", "active", "credentials", "option", "upload"])
def test_each_error_states_what_to_do(kind: str) -> None:
    import re

    error, message = errors()[kind]
    assert re.search(message, raised(error)), raised(error)


def test_a_job_that_goes_on_is_named() -> None:
    assert "It goes on" in raised(exceptions.ServiceUnavailable("away"), "It goes on")
    assert "It goes on" in raised(ConnectionError("cut"), "It goes on")


def test_our_own_errors_pass() -> None:
    with pytest.raises(SourceError), service_errors(DATAFLOW):
        raise SourceError("gone")


@pytest.mark.parametrize("message", ["Quota 'CPUS' exceeded", "ZONE_RESOURCE_POOL_EXHAUSTED", "RESOURCE_EXHAUSTED: x"])
def test_messages_about_quota_are_known(message: str) -> None:
    assert "quota" in quota_remedy(message)
    assert quota_remedy("Traceback") == ""
