"""Stores that refuse, hang or cut: a build goes on when they recover, or ends, and the next run finishes it."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store import lease
from faceloom.schemas.errors import FaceloomError, StorageError
from tests.dask_cluster import cluster_of
from tests.faults.bench import Plain, build, build_until_done, lay_crops
from tests.faults.causes import Impatient, disturbed
from tests.faults.conftest import STORES
from tests.object_stores import Fault
from tests.pipelines.building import OnStage
from tests.tree_digest import digests

pytestmark = pytest.mark.parametrize("place", STORES, indirect=True)


@pytest.fixture(autouse=True)
def impatient(fault: Fault) -> Iterator[None]:
    with Impatient().at_work():
        yield
        fault.answers = lambda method, path: None


def in_turn(*kinds: int | str) -> object:
    """Give these answers, each once to some requests; `hang` waits for longer than the client, and then does it."""
    numbers, turns = itertools.count(1), itertools.cycle(kinds)

    def answers(method: str, path: str) -> int | str | None:
        if next(numbers) % 9:
            return None
        if (answer := next(turns)) != "hang":
            return answer
        time.sleep(0.7)
        return None

    return answers


def test_a_store_that_fails_now_and_then_is_not_noticed(place: str, fault: Fault, plain: Plain, tmp_path: Path) -> None:
    """Also with requests that were done although the answer was lost, or came too late."""
    source = lay_crops(f"{place}/{tmp_path.name}/photos")
    fault.answers = in_turn(503, "hang", "drop", "drop-answer", 500)  # type: ignore[assignment]
    build(source, f"{place}/{tmp_path.name}/out")
    fault.answers = lambda method, path: None
    plain.check(f"{place}/{tmp_path.name}/out")


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["render", "scan", "analyse"])
@pytest.mark.parametrize("answer", ["hang", 503])
def test_a_store_that_is_away_for_a_while(
    stage: str, answer: int | str, place: str, fault: Fault, plain: Plain, tmp_path: Path
) -> None:
    """No answer comes for longer than a request may take, or many tries get 503."""
    back = threading.Event()

    def away(method: str, path: str) -> int | None:
        if answer == "hang":
            back.wait(10)
            return None
        return None if back.is_set() else int(answer)

    def leave() -> None:
        fault.answers = away
        threading.Timer(1.3, back.set).start()

    source = lay_crops(f"{place}/{tmp_path.name}/photos")
    build(source, f"{place}/{tmp_path.name}/out", watcher=OnStage(stage, leave))
    assert back.is_set()
    plain.check(f"{place}/{tmp_path.name}/out")


@pytest.mark.slow
def test_a_store_that_stays_away_ends_the_build_and_the_next_run_finishes_it(
    place: str, fault: Fault, plain: Plain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "SECONDS", 1.0)
    source, out = lay_crops(f"{place}/{tmp_path.name}/photos"), f"{place}/{tmp_path.name}/out"

    def leave() -> None:
        fault.answers = lambda method, path: 503

    with Impatient(patience=0.1).at_work(), pytest.raises(FaceloomError, match="503 Service Unavailable"):
        build(source, out, watcher=OnStage("render", leave))
    fault.answers = lambda method, path: None
    assert not {"build.json"} & {*digests(out)}
    time.sleep(2.1)  # the lease, which could not be given back, ends
    assert build(source, out).analysed == 0
    plain.check(out)


FOLDERS = ("faces/", "shards/", "index/", "build.json")
OTHERS = ("faceloom.json", "neighbours/", "rejects/", *(f"work/.*{end}" for end in ("textures", "npz", "tar", "plan")))


@pytest.mark.parametrize("files", [FOLDERS, pytest.param(OTHERS, marks=pytest.mark.slow)], ids=["few", "others"])
def test_an_upload_that_is_cut_leaves_no_half_file(
    files: tuple[str, ...], place: str, fault: Fault, plain: Plain, tmp_path: Path
) -> None:
    """The store keeps half of the bytes, and answers that all is well."""
    import re

    out, cut = f"{place}/{tmp_path.name}/out", set[str]()

    def answers(method: str, path: str) -> str | None:
        name = unquote(path).partition("/out/")[2]  # clients of Google's store escape slashes
        found = [one for one in files if method == "PUT" and one not in cut and re.match(one, name)]
        cut.update(found)
        return "half" if found else None

    def run() -> None:
        try:
            build(plain.source, out)
        except StorageError:
            assert digests_of_finished(out).items() <= plain.digests.items(), "no half file has a final name"
            raise

    fault.answers = answers
    assert build_until_done(run, StorageError, most=len(files)) == len(files) == len(cut)
    plain.check(out)


def digests_of_finished(out: str) -> dict[str, str]:
    return {path: digest for path, digest in digests(out).items() if not path.startswith("work/")}


@pytest.mark.slow
def test_a_cluster_whose_store_fails_now_and_then(place: str, fault: Fault, plain: Plain, tmp_path: Path) -> None:
    source = lay_crops(f"{place}/{tmp_path.name}/photos")
    with cluster_of(tmp_path / "cluster", workers=2) as cluster, disturbed(Impatient()):
        fault.answers = in_turn(503, "hang", "drop", "drop-answer", 500)  # type: ignore[assignment]
        build(source, f"{place}/{tmp_path.name}/out", cluster.dask, Watcher())
    fault.answers = lambda method, path: None
    plain.check(f"{place}/{tmp_path.name}/out")
