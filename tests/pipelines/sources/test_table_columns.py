from __future__ import annotations

import time

import pyarrow as pa
import pytest

from faceloom.pipelines.sources.table_columns import choose_columns
from faceloom.schemas.errors import SourceError
from faceloom.schemas.source_spec import TableColumns

SCHEMA = pa.schema(
    {
        "uri": pa.string(),
        "person": pa.int32(),
        "age": pa.float32(),
        "taken": pa.timestamp("ns", "Mars/X"),
        "emb": pa.list_(pa.float32()),
        "jpg": pa.binary(),
        "took": pa.duration("ns"),
        "": pa.string(),
    }
)


def test_short_scalars_become_attributes_and_the_rest_is_named() -> None:
    chosen = choose_columns(SCHEMA, TableColumns(identity="person"), "t")
    assert chosen.roles == {"uri": "uri", "identity": "person"}
    assert chosen.others == ("age", "taken")
    (notice,) = chosen.notices
    assert "emb (list<element: float>)" in notice or "emb (list<item: float>)" in notice
    assert "jpg (binary), took (duration[ns])" in notice


def test_a_list_chooses() -> None:
    chosen = choose_columns(SCHEMA, TableColumns(others=("age",)), "t")
    assert (chosen.others, chosen.notices) == (("age",), ())
    assert choose_columns(SCHEMA, TableColumns(others=()), "t").others == ()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"identity": "emb"}, "the column emb is the photo's identity, and holds no text"),
        ({"uri": "jpg"}, "the column jpg is the photo's uri"),
        ({"identity": "who"}, "the table has no column who"),
        ({"others": ("who", "x\x1b")}, r"no column who, 'x\\x1b'"),
        ({"others": ("emb",)}, r"these columns cannot become attributes \(got emb"),
    ],
)
def test_unfit_columns_are_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        choose_columns(SCHEMA, TableColumns.model_validate(columns), "t.parquet")
    assert caught.value.where == "t.parquet" and caught.value.remedy


@pytest.mark.parametrize("name", ["uri", "identity", "age"])
def test_two_columns_of_one_name_are_refused(name: str) -> None:
    schema = pa.schema([("uri", pa.string()), (name, pa.string()), (name, pa.string())])
    with pytest.raises(SourceError, match=f"two columns have the same name .got {name}"):
        choose_columns(schema, TableColumns(), "t")


def schema_of(*names: str) -> pa.Schema:
    return pa.schema([(name, pa.string()) for name in names])


@pytest.mark.parametrize("name", ["label", "person", " Subject", "CLASS", "id", "person_id", "subject name", "classId"])
def test_a_column_that_may_name_people_is_asked_about(name: str) -> None:
    with pytest.raises(SourceError, match=r"does .* name the person") as caught:
        choose_columns(schema_of("uri", name, "age"), TableColumns(), "t")
    assert "`columns: {identity: " in (caught.value.remedy or "") and "{identity: null}" in (caught.value.remedy or "")
    assert choose_columns(schema_of("uri", "identity", name), TableColumns(), "t").roles["identity"] == "identity"
    assert choose_columns(schema_of("uri", name), TableColumns(identity=name.strip()), "t").roles["identity"] == name
    for chosen in (TableColumns(identity=None), TableColumns(others=())):
        assert "identity" not in choose_columns(schema_of("uri", name), chosen, "t").roles


def test_columns_are_found_in_any_case_and_the_very_name_first() -> None:
    chosen = choose_columns(schema_of(" URI", "Identity ", "LANDMARKS"), TableColumns(), "t")
    assert chosen.roles == {"uri": " URI", "identity": "Identity ", "landmarks": "LANDMARKS"}
    chosen = choose_columns(schema_of("uri", "identity", "Identity"), TableColumns(), "t")
    assert (chosen.roles["identity"], chosen.others) == ("identity", ("Identity",))
    with pytest.raises(SourceError, match="two columns are called identity"):
        choose_columns(schema_of("uri", "IDENTITY", "Identity"), TableColumns(), "t")
    assert choose_columns(schema_of("uri", " Age "), TableColumns(others=("age",)), "t").labels == {" Age ": "Age"}


def test_a_box_has_four_edges() -> None:
    edges = ("left", "top", "right", "bottom")
    assert set(choose_columns(schema_of("uri", *edges), TableColumns(), "t").roles) == {"uri", *edges}
    assert set(choose_columns(schema_of("uri", "box", *edges), TableColumns(), "t").roles) == {"uri", "box"}
    three = choose_columns(schema_of("uri", *edges[:3]), TableColumns(), "t")
    assert (set(three.roles), three.others) == ({"uri"}, edges[:3])
    with pytest.raises(SourceError, match="all four edges"):
        choose_columns(schema_of("uri", "x0"), TableColumns(left="x0"), "t")


def test_unnamed_columns_are_not_read() -> None:
    schema = pa.schema([(name, pa.string()) for name in ("uri", "identity", "", "")])
    assert choose_columns(schema, TableColumns(), "t").names == ["uri", "identity"]


def test_a_column_with_several_roles_is_loaded_once() -> None:
    columns = TableColumns(identity="uri", others=("uri", "age", "age"))
    chosen = choose_columns(SCHEMA, columns, "t")
    assert chosen.names == ["uri", "age"] and chosen.others == ("uri", "age")
    assert chosen.roles["identity"] == chosen.roles["uri"] == "uri"


def test_of_very_many_columns_the_first_become_attributes() -> None:
    names = [f"c{number}" for number in range(1_002)]
    schema = pa.schema([("uri", pa.string()), *((name, pa.int8()) for name in names)])
    chosen = choose_columns(schema, TableColumns(), "t")
    assert chosen.others == tuple(names[:1_000])
    (notice,) = chosen.notices
    assert notice.endswith("Left out: c1000, c1001")
    assert choose_columns(schema, TableColumns(others=("c1001",)), "t").others == ("c1001",)
    with pytest.raises(SourceError, match="the recipe names 1,002 columns for attributes; a photo has at most 1,000"):
        choose_columns(schema, TableColumns(others=tuple(names)), "t")


def test_a_long_header_takes_no_time() -> None:
    schema = pa.schema([(f"c{number}", pa.int8()) for number in range(60_000)] + [("uri", pa.string())] * 2)
    begin = time.process_time()
    with pytest.raises(SourceError, match="two columns have the same name"):
        choose_columns(schema, TableColumns(), "t")
    assert time.process_time() - begin < 3
