"""All kinds of inputs, by name."""

from __future__ import annotations

from tests.fuzz import cards, csv_tables, outputs, parquet, pictures, recipes, recordio, releases, tars
from tests.fuzz.base import Kind

KINDS: dict[str, Kind] = {
    module.KIND.name: module.KIND
    for module in (outputs, releases, pictures, recipes, cards, tars, recordio, parquet, csv_tables)
}
"""Those that take longest come first, so that processes side by side end together."""
