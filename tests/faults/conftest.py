"""Builds of few photos, an undisturbed one of them, and stores behind a proxy that causes faults."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.faults.bench import Plain, make_plain, small_tasks
from tests.object_stores import Fault, gcs_server, s3_server

STORES = ("s3", pytest.param("gs", marks=pytest.mark.slow))
PLACES = ("folder", *STORES)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Signals, limits and processes of Linux."""
    for item in items:
        if "tests/faults/" in item.path.as_posix() and sys.platform != "linux":
            item.add_marker(pytest.mark.skip(reason="signals, limits and processes of Linux"))


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """Several tasks of each kind for few photos."""
    with small_tasks():
        yield


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Plain:
    """Photos in a folder, and a build of them that nothing disturbed."""
    with small_tasks():
        return make_plain(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def fault() -> Fault:
    """What the proxy before the store does; nothing yet."""
    return Fault()


@pytest.fixture(scope="module")
def s3(fault: Fault) -> Iterator[str]:
    """The URL of a bucket."""
    with s3_server(fault.proxy) as url:
        yield url


@pytest.fixture(scope="module")
def gs(fault: Fault) -> Iterator[str]:
    """The URL of a bucket."""
    with gcs_server(fault.proxy) as url:
        yield url


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder of this machine."""
    return str(tmp_path_factory.mktemp("places"))


@pytest.fixture
def place(request: pytest.FixtureRequest) -> str:
    """A folder or bucket, by the parameter of the test."""
    found: str = request.getfixturevalue(request.param)
    return found
