from __future__ import annotations

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
        ({"others": ("who", "x\x1b")}, r"no column who, x\\x1b"),
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


def test_very_many_columns_must_be_chosen_from() -> None:
    schema = pa.schema([("uri", pa.string()), *((f"c{number}", pa.int8()) for number in range(1_001))])
    with pytest.raises(SourceError, match="1,001 columns for attributes"):
        choose_columns(schema, TableColumns(), "t")
    assert choose_columns(schema, TableColumns(others=("c7",)), "t").others == ("c7",)
