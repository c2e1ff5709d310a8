"""Tell names of people from captions, in the `txt` members of tar files."""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Callable, Iterable, Mapping

import numpy as np

LONGEST_LABEL = 64
"""Characters of a name; captions may have as few, and these rarely repeat."""
_CAPTION_KEYS = ("caption", "captions", "text", "txt", "prompt", "description", "alt", "alt_text", "title")
_ARTICLES = re.compile(r"(?:^|\s)(?:an?|the|with|and|his|her|in|on|at|is|wearing|photo|picture|portrait|image)(?:\s|$)")
"""Words of captions that no name has, in lower case."""


def may_be_label(text: str, facts: Mapping[str, object]) -> bool:
    """Whether a text may be the name or the number of a person: it is one short line, and reads like no caption.

    Args:
        text: of the `txt` member.
        facts: the `json` member beside it. If that has a caption, or the same text, then the text is a caption too.
    """
    if not text or len(text) > LONGEST_LABEL or "\n" in text.strip() or _ARTICLES.search(text):
        return False
    return not any(key in facts for key in _CAPTION_KEYS) and text not in facts.values()


class RepeatedTexts:
    """Which texts of a source occur more than once, if most do. Counts once, when it is first asked.

    Args:
        texts: gives all candidates for names, and an empty text for each caption.
    """

    def __init__(self, texts: Callable[[], Iterable[str]]) -> None:
        self._texts = texts
        self._repeated: np.ndarray | None = None

    def __call__(self, text: str) -> bool:
        """Whether a text is the name of a person."""
        if self._repeated is None:
            self._repeated = self._count()
        at = int(np.searchsorted(self._repeated, _hash(text)))
        return at < len(self._repeated) and int(self._repeated[at]) == _hash(text)

    def _count(self) -> np.ndarray:
        """Hashes of the texts that repeat, in ascending order; none if fewer than half of all texts do."""
        found = np.frombuffer(array("q", map(_hash, self._texts())), np.int64)  # 8 bytes a text
        texts, counts = np.unique(found, return_counts=True)
        repeated = (counts > 1) & (texts != _hash(""))
        return texts[repeated] if 2 * counts[repeated].sum() >= len(found) else texts[:0]


def _hash(text: str) -> int:
    """64 bits of a digest: Python's own hash of texts differs from process to process."""
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), signed=True)
