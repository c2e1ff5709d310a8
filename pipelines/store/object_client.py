"""Open object stores by URL, and raise what goes wrong there as an OSError, as a disk would."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

from faceloom.schemas.errors import StorageError, UrlError, printable
from faceloom.schemas.urls import STORES

if TYPE_CHECKING:
    from obstore.store import ObjectStore


@dataclass(frozen=True, slots=True)
class Patience:
    """For how long a request is repeated that finds the store away, busy or silent.

    Attributes:
        seconds: after the first failure, or the beginning of a call that the library repeats too. No request begins
            later, but for the longest wait.
        first, longest: seconds between the first two requests, and between two at most.
    """

    seconds: float = 90.0
    first: float = 0.2
    longest: float = 10.0


PATIENCE = Patience()
TIMEOUTS: dict[str, Any] = {"connect_timeout": timedelta(seconds=10), "timeout": timedelta(seconds=60)}
"""Of one request. A part of an upload has 5 MB."""
_ENDLESS = 10**6
"""Retries of the library, so that time alone ends them. It waits for random times: eight may take 2 seconds."""
_AGAIN = "Run the same command again; finished tasks are kept"
_REMEDIES = {
    errno.ENOENT: f"Check the URL, and whether something deletes files there. {_AGAIN}",
    errno.ENODEV: "Create the bucket first, or check its name",
    errno.ETIMEDOUT: f"Check the network and the status of the store. {_AGAIN}",
    errno.EIO: f"Check the network and the status of the store. {_AGAIN}",
    errno.EILSEQ: "Rename this object, or delete it. Names must not have empty parts, or parts that are . or ..",
    errno.ENOSPC: f"Free some space there, or name another folder by the variable TMPDIR. {_AGAIN}",
}
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or those of `gcloud auth application-default login`",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
"""By the scheme of a URL, where its credentials come from."""
_KEYS = (
    "AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)  # fmt: skip
"""Variables of S3 that name credentials; without them, the library asks the machine."""
_ENDPOINTS = {"s3": "AWS_ENDPOINT_URL", "gs": "STORAGE_EMULATOR_HOST"}
"""By the scheme of a URL, the variable that may name another server."""
_WHY = re.compile(r"(connection refused|connection reset|dns error|certificate[^\n:]{0,60}|corrupt message)", re.I)
"""Why a server cannot be reached, in an error of the library."""
_STATUS = re.compile(r"status code: (\d{3})( [A-Za-z -]+)?")
_TRIES = re.compile(r"after (\d+) retries")
_CAUSE = re.compile(r"(?:HTTP error|Generic \w+ error): ([^\n]{1,200})")
_BAD_NAME = re.compile(r'invalid path: .*?Path "([^"\n]{1,200})')
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "bucket does not exist")


class _Process:
    """Whether this process may use the library, whose threads do not survive a fork."""

    used = False
    forked = False


def _after_fork() -> None:
    _Process.forked = _Process.used


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def open_store(url: str, *, repeats: bool = False, seconds: float | None = None) -> ObjectStore:
    """Open the folder of a bucket, given as `SCHEME://BUCKET/FOLDER`. Makes no request.

    Args:
        url: of the folder.
        repeats: whether the library repeats requests after a 5xx answer or a broken connection, as `PATIENCE` has it:
            for lists and uploads in parts, which are several requests. All others belong into `repeated`.
        seconds: time limit of a request; None means that of `TIMEOUTS`.

    Raises:
        StorageError: no such kind of store is known, the URL names no bucket, the library is not installed, or this
            process was forked from one that used it, where each call would wait forever.
    """
    if _Process.forked:
        remedy = "Start them with 'spawn' or 'forkserver', such as DataLoader(..., multiprocessing_context='spawn')"
        raise StorageError("a forked process cannot use an object store", where=url, remedy=remedy)
    _Process.used = True
    return _opened(url, repeats, seconds)


def check_url(url: str) -> None:
    """Check that a URL names a bucket of a known kind of store. Errors as `open_store`."""
    scheme = url.partition(":")[0]
    if scheme not in STORES:
        known = ", ".join(f"{one}://" for one in STORES)
        remedy = f"Give a path, or a URL that begins with one of {known}"
        raise UrlError("URLs of this kind are not supported", where=url, value=f"{scheme}://", remedy=remedy)
    rest = url.removeprefix(f"{scheme}://")
    bucket, *folders = rest.rstrip("/").split("/")
    if rest == url or not bucket or set(folders) & {"", ".", ".."} or re.search(r"[\x00-\x1f?#]", rest):
        remedy = f"Give {scheme}://BUCKET/FOLDER"
        raise UrlError("the URL does not name a folder of a bucket", where=url, remedy=remedy)


@lru_cache(maxsize=64)
def _opened(url: str, repeats: bool, seconds: float | None) -> ObjectStore:
    check_url(url)
    try:
        from obstore.store import from_url
    except ImportError as error:
        remedy = "Run: pip install 'faceloom[cloud]'"
        raise StorageError("object stores need obstore", where=url, value=error, remedy=remedy) from None
    options: Any = TIMEOUTS | ({"timeout": timedelta(seconds=seconds)} if seconds else {})
    config: Any = {}
    waits = {"init_backoff": PATIENCE.first, "max_backoff": PATIENCE.longest}
    # With a base of 3 the random waits grow; with 2 they shrink as often.
    backoff = {**{name: timedelta(seconds=wait) for name, wait in waits.items()}, "base": 3}
    most = _ENDLESS if repeats else 0
    retry: Any = {"max_retries": most, "retry_timeout": timedelta(seconds=PATIENCE.seconds), "backoff": backoff}
    if emulator := os.environ.get("STORAGE_EMULATOR_HOST") if url.startswith("gs://") else None:
        base = emulator if "://" in emulator else f"http://{emulator}"
        # The library has no variable for an emulator, but reads its address where a service account would stand.
        account = {
            "gcs_base_url": base,
            "disable_oauth": True,
            "client_email": "",
            "private_key": "",
            "private_key_id": "",
        }
        config = {"service_account_key": json.dumps(account)}
        options["allow_http"] = True
    variable, address = _endpoint(url)
    if url.startswith("s3://") and address:
        if not re.match(r"https?://[^/]", address):
            remedy = f"Set it to an address such as http://127.0.0.1:9000 (now {address})"
            raise StorageError(f"{variable} is no address of a server", where=url, remedy=remedy)
        options["allow_http"] = address.startswith("http://")  # the user named this server
    try:
        return from_url(url, config=config, client_options=options, retry_config=retry)
    except Exception as error:  # of the library, whose classes differ by store
        where, remedy = url, f"Check the URL, and the credentials: {_credentials(url)}"
        raise StorageError(
            "this store cannot be opened", where=where, value=_first_line(error), remedy=remedy
        ) from None


@contextlib.contextmanager
def object_errors(what: str, path: str) -> Iterator[None]:
    """Raise each error of the library, and an OSError, as a StorageError whose cause is an OSError with a number.

    Args:
        what: what failed, for the message.
        path: of the file; a URL.
    """
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        raise_object_error(error if error.errno else as_os_error(error), what, path)
    except Exception as error:
        if not is_of_library(error):
            raise
        raise_object_error(as_os_error(error), what, path)


def raise_object_error(error: OSError, what: str, path: str) -> NoReturn:
    """Raise an OSError as a StorageError. Arguments as `object_errors`."""
    remedy = _REMEDIES.get(error.errno or 0, _REMEDIES[errno.EIO])
    variable, address = _endpoint(path)
    if address and error.errno in (errno.EIO, errno.ETIMEDOUT):
        remedy = remedy.replace("Check the network", f"Check {variable} (now {address}), the network")
    if error.errno == errno.EACCES:
        remedy = f"Check what your credentials permit in this bucket: {_credentials(path)}"
    kind = UrlError if error.errno == errno.ENODEV else StorageError
    raise kind(f"{what} ({error.strerror or error})", where=path, remedy=remedy) from error


def _credentials(url: str) -> str:
    """Where the credentials for a URL come from."""
    scheme = url.partition("://")[0]
    found = ""
    if scheme == "s3" and not any(name in os.environ for name in _KEYS):
        found = " (not set)"
    return f"{_CREDENTIALS.get(scheme, 'those in the environment')}{found}; see docs/object-stores.md"


def _endpoint(url: str) -> tuple[str, str]:
    """The variable that may name the server of a URL, and its value."""
    variable = _ENDPOINTS.get(url.partition("://")[0], "")
    return variable, os.environ.get(variable, "")


def as_os_error(error: Exception) -> OSError:
    """The OSError that fits an error of the library: not found, not permitted, no answer in time, or an I/O error."""
    text = "\n".join([str(error), *getattr(error, "__notes__", ())])
    status, tries = _STATUS.search(text), _TRIES.search(text)
    repeated = f", {int(tries[1]) + 1} tries" if tries and tries[1] != "0" else ""
    said = _CODE.search(text)
    answer = f"the store answers {status[1]}{status[2] or ''}{f', {said[1]}' if said else ''}" if status else ""
    if any(sign in text for sign in _NO_BUCKET):
        return OSError(errno.ENODEV, "there is no such bucket")
    if name := _BAD_NAME.search(text):
        return OSError(errno.EILSEQ, f"the name of an object cannot be used: {printable(name[1])}")
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    kind = type(error).__name__
    if kind in ("PermissionDeniedError", "UnauthenticatedError") or (status and status[1] in ("401", "403")):
        return PermissionError(errno.EACCES, f"permission denied{f': {answer}' if answer else ''}")
    if answer:
        return OSError(errno.EIO, f"{answer}{repeated}")
    if "timed out" in text or "timeout" in text.lower().replace("retry_timeout", ""):
        return TimeoutError(errno.ETIMEDOUT, f"no answer in time{repeated}")
    if "error sending request" in text:
        why = _WHY.search(text)
        return ConnectionError(
            errno.EIO, f"the store cannot be reached{f': {why[1].lower()}' if why else ''}{repeated}"
        )
    found = _CAUSE.findall(text)
    return OSError(errno.EIO, f"{found[-1] if found else _first_line(error)}{repeated}")


def is_of_library(error: Exception) -> bool:
    """Whether an error comes from the library."""
    return type(error).__module__.startswith("obstore") or isinstance(error, ValueError)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
