"""Timings of the last run that had something to do. They only inform: what is wrong with them stops nothing."""

from __future__ import annotations

import json

from pydantic import BaseModel, ConfigDict, NonNegativeInt

from faceloom.pipelines.store.paths import LAST_RUN
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.column_types import Finite, parse_model
from faceloom.schemas.errors import StorageError

_MOST_BYTES = 2**16


class LastRun(BaseModel):
    """What the last run did.

    Attributes:
        workers: number of worker processes; 0 if the workers of a cluster did the work.
        photos_analysed, samples_rendered, samples_reused: by this run.
        wall_seconds: by stage, on the clock.
        work_seconds: by kind of work, summed over worker processes.
        commit, dirty: the checkout that it ran from; see `checkout`.
    """

    model_config = ConfigDict(frozen=True)
    workers: NonNegativeInt
    photos_analysed: NonNegativeInt
    samples_rendered: NonNegativeInt
    samples_reused: NonNegativeInt
    wall_seconds: dict[str, Finite]
    work_seconds: dict[str, Finite]
    commit: str = ""
    dirty: bool = False


def write_last_run(storage: Storage, run: LastRun) -> None:
    """Write the timings of a run.

    Raises:
        StorageError: they cannot be written.
    """
    with storage.write(LAST_RUN) as stream:
        stream.write((json.dumps(run.model_dump(), indent=1) + "\n").encode())


def read_last_run(storage: Storage) -> LastRun | None:
    """Read the timings of the last run; None if there are none.

    Raises:
        StorageError: they cannot be read or are damaged.
    """
    if not storage.exists(LAST_RUN):
        return None
    data = storage.read_bytes(LAST_RUN, _MOST_BYTES)
    try:
        return parse_model(LastRun, data, _MOST_BYTES)
    except ValueError as error:
        remedy = "The next build with work to do replaces it"
        raise StorageError(f"damaged timings: {error}", where=LAST_RUN, remedy=remedy) from None
