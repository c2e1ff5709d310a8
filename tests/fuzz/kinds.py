"""All kinds of inputs, by name."""

from __future__ import annotations

from tests.fuzz import cards, csv_tables, outputs, parquet, pictures, recipes, recordio, tars
from tests.fuzz.base import Kind

KINDS: dict[str, Kind] = {
    module.KIND.name: module.KIND for module in (pictures, tars, recordio, parquet, csv_tables, recipes, cards, outputs)
}
"""Pictures, tars, RecordIO, Parquet, CSV, recipes, cards, and index rows with everything beside them."""
