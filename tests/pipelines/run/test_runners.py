"""Who runs tasks, as plain values."""

from __future__ import annotations

import pickle

from faceloom.pipelines.run.runners import Dask, here


def test_a_cluster_is_a_small_value() -> None:
    cluster = Dask("tcp://host:8786", folder="/out")
    assert pickle.loads(pickle.dumps(cluster)) == cluster


def test_a_cluster_has_no_worker_process_on_this_machine() -> None:
    assert here(3) == 3
    assert here(Dask("tcp://host:8786")) == 0
