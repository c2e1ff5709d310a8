"""What the Dataflow service and Google's libraries answer, as errors of ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from faceloom.pipelines.run.dataflow_options import NO_CREDENTIALS
from faceloom.pipelines.run.runners import Dataflow
from faceloom.schemas.errors import FaceloomError, WorkerError

AGAIN = "Run the same command again; finished tasks are kept"
_REMEDIES = {
    400: "Check the options of Beam and the message above",
    401: NO_CREDENTIALS,
    403: "Enable the Dataflow API in the project, and give your account the roles Dataflow Developer and Service "
    "Account User; see docs/dataflow.md",
    404: "Check --project and --region, and whether the Dataflow API is enabled",
    409: "Wait until it ends, or cancel it; then run the same command again",
    429: f"Ask for more quota in the region, or use another one. {AGAIN}",
}
_QUOTA = ("quota", "ZONE_RESOURCE_POOL_EXHAUSTED", "RESOURCE_EXHAUSTED")


@contextlib.contextmanager
def service_errors(dataflow: Dataflow, running: str = "") -> Iterator[None]:
    """Raise what goes wrong between this process and the service as a WorkerError.

    Args:
        dataflow: the runner.
        running: what to do about a job that goes on; empty if there is none.

    Raises:
        WorkerError: the service refuses a request, cannot be reached, or the files of a job cannot be uploaded.
    """
    from apache_beam.runners.dataflow.internal.apiclient import DataflowJobAlreadyExistsError
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError

    where = f"project {dataflow.project}, region {dataflow.region}"
    try:
        yield
    except FaceloomError:
        raise
    except DataflowJobAlreadyExistsError as error:
        raise WorkerError("a job of this stage is active", where=where, value=error, remedy=_REMEDIES[409]) from None
    except GoogleAPICallError as error:
        code = int(error.code or 500)
        value = f"{code} {error.message}"
        remedy = quota_remedy(str(error.message)) or _REMEDIES.get(code) or f"Check the status of Dataflow. {AGAIN}"
        raise WorkerError("Dataflow refuses a request", where=where, value=value, remedy=running or remedy) from None
    except GoogleAuthError as error:
        raise WorkerError("no credentials for Google Cloud", value=error, remedy=_REMEDIES[401]) from None
    except ValueError as error:  # of Beam, about options
        raise WorkerError("Beam refuses the job", where=where, value=error, remedy=_REMEDIES[400]) from None
    except OSError as error:  # of an upload, or of the connection
        what = "Dataflow cannot be reached, or the files of the job cannot be uploaded"
        remedy = running or f"Check the network, --temp_location and what your account may write there. {AGAIN}"
        raise WorkerError(what, where=where, value=error, remedy=remedy) from None


def quota_remedy(message: str) -> str:
    """What to do if a message is about quota or lacking machines; otherwise empty."""
    return _REMEDIES[429] if any(word.lower() in message.lower() for word in _QUOTA) else ""
