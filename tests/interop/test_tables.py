"""DuckDB and pandas read the index, and agree with each other and with our reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.checked_shards import read_rows
from faceloom.pipelines.store.storage import Storage

duckdb = pytest.importorskip("duckdb", reason="needs the extra `interop`")
pd = pytest.importorskip("pandas", reason="needs the extra `interop`")


def test_both_see_every_row_as_we_do(built: Path) -> None:
    storage = Storage(str(built))
    rows = [row for shard in read_record(storage).shards for row in read_rows(storage, shard)]
    files = sorted(map(str, (built / "index").glob("*.parquet")))
    frame = pd.concat([pd.read_parquet(file) for file in files]).set_index("key")
    query = "SELECT key, identity, people, members FROM read_parquet($files)"
    table = {key: rest for key, *rest in duckdb.execute(query, {"files": files}).fetchall()}
    assert len(frame) == len(table) == len(rows)
    for row in rows:
        identity, people, members = table[row.key]
        assert identity == frame.loc[row.key, "identity"] == row.identity
        assert people == list(frame.loc[row.key, "people"]) == list(row.people)
        ours = [(one.name, one.offset, one.size, one.sha256) for one in row.members]
        assert [tuple(one.values()) for one in members] == ours
        assert [tuple(one.values()) for one in frame.loc[row.key, "members"]] == ours


def test_people_of_morphs_are_found_in_one_split(built: Path) -> None:
    query = """
        SELECT count(DISTINCT split) FROM (SELECT unnest(people) AS person, split FROM read_parquet($files))
        GROUP BY person
    """
    assert {count for (count,) in duckdb.execute(query, {"files": f"{built}/index/*.parquet"}).fetchall()} == {1}
    query = "SELECT count(*) FROM read_parquet($files) WHERE len(people) > 1 AND len(parents) = 2"
    assert duckdb.execute(query, {"files": f"{built}/index/*.parquet"}).fetchone()[0] > 0
