"""Names of people as sources give them: in one Unicode form, and without words that stand for no name."""

from __future__ import annotations

import unicodedata
from collections import Counter

NO_NAMES = frozenset({"nan", "none", "null", "nat", "n/a", "#n/a", "<na>", "?", "-1", "-1.0"})
"""Words that tables, programs and clusterings write where a name is missing, in lower case."""
SPLITS = frozenset(
    {"train", "training", "trainset", "train_set", "training_set", "val", "valid", "validation", "dev", "eval"}
    | {"evaluation", "test", "testing", "testset", "test_set", "testing_set", "query", "gallery", "probe"}
)
"""Names of splits, in lower case."""


def as_person(text: str) -> str | None:
    """The name of a person in Unicode NFC and without outer blanks; None if the text is no name.

    >>> as_person(" Ann "), as_person("NaN")
    ('Ann', None)
    """
    name = unicodedata.normalize("NFC", text).strip()
    return None if not name or name.lower() in NO_NAMES else name


def is_split(name: str) -> bool:
    """Whether a name is that of a split, such as `train`."""
    return name.strip().lower().replace("-", "_") in SPLITS


class PersonNames:
    """Turns the texts of one source into names of people, each text once.

    Attributes:
        no_names: how many texts were no name, by text; empty ones do not count.
    """

    def __init__(self) -> None:
        self.no_names: Counter[str] = Counter()
        self._names: dict[str, str | None] = {}

    def of(self, text: str | None) -> str | None:
        """The name that a text stands for, as `as_person`."""
        if text is None:
            return None
        if text not in self._names:
            self._names[text] = as_person(text)
        name = self._names[text]
        if name is None and text.strip():
            self.no_names[text.strip()] += 1
        return name

    def notices(self) -> tuple[str, ...]:
        """What the user should know about the texts that are no name."""
        if not self.no_names:
            return ()
        shown = ", ".join(f"{text} ({count:,})" for text, count in sorted(self.no_names.items())[:5])
        return (f"words that stand for no name are no people, so that each photo counts as its own person: {shown}",)
