"""Where files lie: no two in one place, and every file under `work/` names what it belongs to."""

from __future__ import annotations

from faceloom.pipelines.store import paths


def test_shards_and_their_indexes() -> None:
    assert (paths.shard_tar("n"), paths.shard_index("n")) == ("shards/n.tar", "index/n.parquet")
    assert paths.shard_of_index(paths.shard_index("train-01-ab")) == "train-01-ab"


def test_work_files_differ_and_name_their_owner() -> None:
    of_work = (
        *(paths.part_tar, paths.part_index, paths.planned_faces, paths.failure_note),
        *(paths.texture_block, paths.texture_facts, paths.search_groups, paths.search_centroids, paths.search_sample),
    )
    found = {path("p") for path in of_work}
    assert len(found) == len(of_work)
    assert {paths.work_name(path) for path in found} == {"p"}
    of_pieces = {path("p", 3) for path in (paths.search_rows, paths.search_vectors, paths.search_faces)}
    assert len(of_pieces) == 3 and {paths.work_name(path) for path in of_pieces} == {"p-000003"}


def test_failure_notes_are_recognised() -> None:
    assert paths.is_failure_note(paths.failure_note("p"))
    assert not paths.is_failure_note(paths.part_tar("p"))


def test_face_tables_of_two_analysers_lie_apart() -> None:
    assert paths.face_table_file("a", "t").startswith(paths.face_table("a") + "/")
    assert paths.face_table("a") != paths.face_table("b")


def test_releases_and_channels() -> None:
    assert paths.release_file("faces", "1.0.0") == "releases/faces/1.0.0/release.json"
    assert paths.release_file("faces", "1.0.0", paths.SUMS) == "releases/faces/1.0.0/SHA256SUMS"
    assert paths.channel_log("faces") == "channels/faces.jsonl"
