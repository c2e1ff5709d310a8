"""Read a folder with a sub-folder per person, the layout of LFW, VGGFace2 and CASIA-WebFace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from faceloom.pipelines.sources.flat_folder import FlatFolder
from faceloom.pipelines.sources.person_folders import PersonFolders, Rule, stated_rule
from faceloom.pipelines.sources.person_names import PersonNames
from faceloom.pipelines.sources.walk import Found, scan_reject
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.source_spec import SourceSpec


class FolderOfPeople(FlatFolder):
    """All pictures below a folder; a folder in the path of a picture names the person.

    Which one is stated by `spec.identity`, or found by `PersonFolders`. Folders further down belong to that person. A
    picture at the top has no identity. A folder above the person's that is named like a split gives the split.

    Attributes:
        notices: what the user should know about the folders; complete after a scan.
    """

    in_folders = True

    def __init__(self, spec: SourceSpec) -> None:
        super().__init__(spec)
        self.notices: tuple[str, ...] = ()

    def scan(self) -> Iterator[Photo | Reject]:
        """See `Source.scan`. Without a stated rule, folders are listed twice: the first time to find the people."""
        names = PersonNames()
        rule: Rule
        notices: tuple[str, ...] = ()
        if self.spec.identity is not None:
            rule = stated_rule(self.spec.identity)
        else:
            photos: Counter[str] = Counter()
            for row in self._files(sizes=False):
                if isinstance(row, Found):
                    photos[row.uri.rpartition("/")[0]] += 1
            rule = PersonFolders(photos)
            notices = rule.notices
        for row in self._files():
            yield row if isinstance(row, Reject) else self._named(row, rule, names)
        self.notices = (*notices, *names.notices())

    def _named(self, found: Found, rule: Rule, names: PersonNames) -> Photo | Reject:
        row = self.row_of(found)
        stated = rule(found.uri)
        expression = self.spec.identity
        if expression is not None and stated.identity is None and not _counts_folders(expression):
            return scan_reject(self.name, found.uri, "no_match", f"the path does not match {expression}")
        identity = names.of(stated.identity)
        if isinstance(row, Reject) or (identity is None and stated.split is None):
            return row
        return replace(row, identity=identity, split=stated.split)


def _counts_folders(identity: str) -> bool:
    return identity == "parent" or identity.startswith("folder ")
