"""Read bare photos from one folder, and for each a photo of the same face with a mask from another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, takewhile

from faceloom.pipelines.sources.folder_of_people import FolderOfPeople
from faceloom.pipelines.sources.listing import entries_of, list_files
from faceloom.pipelines.sources.source import place_of, read_if_there, uri_filter
from faceloom.pipelines.sources.walk import PICTURE_ENDINGS, Found, ending, scan_reject
from faceloom.pipelines.store.store_path import Place, StorePath
from faceloom.schemas.errors import PhotoError, SourceError
from faceloom.schemas.labels import DRAWN, MASKED, PAIR, LabelFiles
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.source_spec import SourceSpec

_COMMON = ("jpg", "png", "jpeg", "webp")
_ENDINGS = (*_COMMON, *sorted(PICTURE_ENDINGS - set(_COMMON)))
_MOST_NAMES = 1000
"""Names from which a suffix is guessed."""
_EITHER_CASE = (*_ENDINGS, *map(str.upper, _ENDINGS))


class Pairs(FolderOfPeople):
    """All pictures below the folder `spec.bare`, each with the picture of the same path in `spec.masked`.

    The names may end differently. The masked photo of `a/1.jpg` is `a/1.png`, or `a/1-with-mask.png` with the suffix
    `-with-mask`; its map, if there is a folder of maps, is `a/1.png` there. Identities are those of `FolderOfPeople`.
    The files of a pair are its label files: `read_labels` returns them, and the plan holds their digest.
    """

    def __init__(self, spec: SourceSpec) -> None:
        super().__init__(spec)
        self.masked = _folder(spec.masked or "", "masked")
        self.maps = _folder(spec.maps, "maps") if spec.maps else None
        if str(self.masked) == str(self.root):
            remedy = "Put the masked photos into a folder of their own"
            raise SourceError("bare and masked photos lie in one folder", where=str(self.root), remedy=remedy)
        self._left_out: set[str] = set()

    def scan(self) -> Iterator[Photo | Reject]:
        """See `Source.scan`. A photo without a partner, in either folder, is a reject. If no photo has one, `notices`
        names the files that look like a pair."""
        self._left_out.clear()
        masked, rejects = self._beside(self.masked, "masked")
        maps, more = self._beside(self.maps, "maps") if self.maps else ({}, [])
        yield from (*rejects, *more)
        first: dict[str, str] = {}
        pairs = 0
        for row in super().scan():
            if isinstance(row, Reject):
                yield row
                continue
            stem = row.uri.rpartition(".")[0]
            if stem in first:
                yield scan_reject(self.name, row.uri, "ambiguous_partner", f"{first[stem]} has the same masked photo")
                continue
            first[stem] = row.uri
            partners = masked.get(stem + self.spec.suffix, [])
            pairs += bool(partners)
            yield self._paired(row, partners, maps.get(stem, []))
        if first and masked and not pairs:
            self.notices += (_without_pairs(first, sorted(masked), self.spec.suffix),)
        known = first.keys() | self._left_out
        for folder, suffix, found in (("masked", self.spec.suffix, masked), ("maps", "", maps)):
            for stem, files in found.items():
                if not (stem.endswith(suffix) and stem.removesuffix(suffix) in known):
                    what = f"the folder of bare photos has none of this name, without `{suffix}`" if suffix else ""
                    what = what or "the folder of bare photos has none of this name"
                    yield from (scan_reject(self.name, f"{folder}::{one.uri}", "no_partner", what) for one in files)
        self._left_out.clear()

    def read_labels(self, photo_uri: str) -> LabelFiles | None:
        """See `LabelledSource.read_labels`. All files of a pair are there, or the error is `vanished`."""
        stem = photo_uri.rpartition(".")[0]
        drawn = ((DRAWN, _read_partner(self.maps, stem, photo_uri)),) if self.maps else ()
        return LabelFiles(PAIR, (), (*drawn, (MASKED, _read_partner(self.masked, stem + self.spec.suffix, photo_uri))))

    def _files(self, *, sizes: bool = True) -> Iterator[Found | Reject]:
        """See `FlatFolder`. Remembers the bare photos that `include` and `exclude` leave out."""
        passes = uri_filter(self.spec)

        def wanted(uri: str) -> bool:
            if passes is None or passes(uri):
                return True
            self._left_out.add(uri.rpartition(".")[0])
            return False

        return list_files(self.root, self.name, wanted=wanted, in_folders=self.in_folders, sizes=sizes)

    def _beside(self, folder: Place, name: str) -> tuple[dict[str, list[Found]], list[Reject]]:
        """The pictures of a folder by their paths without ending, and a reject for each other file."""
        found: dict[str, list[Found]] = {}
        rejects = []
        for row in list_files(folder, self.name, in_folders=self.in_folders):
            if isinstance(row, Reject):
                rejects.append(replace(row, uri=f"{name}::{row.uri}"))
            else:
                found.setdefault(row.uri.rpartition(".")[0], []).append(row)
        return found, rejects

    def _paired(self, photo: Photo, masked: list[Found], maps: list[Found]) -> Photo | Reject:
        for name, files in (("masked photos", masked), ("maps", maps)):
            if len(files) > 1:
                what = f"the {name} {files[0].uri} and {files[1].uri} have the name of this photo"
                return scan_reject(self.name, photo.uri, "ambiguous_partner", what)
        if not masked:
            return scan_reject(self.name, photo.uri, "no_partner", "the folder of masked photos has none of this name")
        if self.maps and not maps:
            return scan_reject(self.name, photo.uri, "no_map", "the folder of maps has none of this name")
        stamps = [f"{one.uri.rpartition('.')[2]}+{one.size}+{one.version}" for one in (*masked, *maps)]
        return replace(photo, labels="+".join((PAIR, *stamps)))


def _without_pairs(bare: dict[str, str], masked: list[str], suffix: str) -> str:
    """What to do if the names of two folders have nothing in common.

    Args:
        bare: paths of the bare photos by their stems.
        masked: stems of the masked photos.
        suffix: of the recipe.
    """
    likely: Counter[str] = Counter()
    for stem in masked[:_MOST_NAMES]:
        begins = (stem[:cut] for cut in range(len(stem) - 1, stem.rfind("/") + 1, -1))
        if begin := next((one for one in begins if one in bare), ""):
            likely[stem.removeprefix(begin)] += 1
    stem, uri = next(iter(bare.items()))
    what = f"no photo has a partner: that of {uri} would be {stem}{suffix} with any ending, and there is {masked[0]}"
    if not likely:
        return f"{what}. Name both alike, or set the source's `suffix`"
    [(found, _)] = likely.most_common(1)
    return f"{what}. The names of masked photos seem to be longer: set the source's `suffix: {found}`"


def _folder(path: str, key: str) -> Place:
    """A folder of partners.

    Raises:
        SourceError: it does not exist.
    """
    place = place_of(path)
    if next(entries_of(place), None) if isinstance(place, StorePath) else place.is_dir():
        return place
    remedy = f"Give a folder as the source's `{key}`"
    raise SourceError(f"the folder `{key}` of the pairs does not exist", where=str(place), remedy=remedy)


def _read_partner(folder: Place, stem: str, uri: str) -> bytes:
    """The bytes of the picture with a name, whatever its ending. Empty files do not count, as in the scan."""
    own = uri.rpartition(".")[2]
    usual = (f"{stem}.{end}" for end in dict.fromkeys((own, *_EITHER_CASE)))
    for file in chain(usual, _named(folder, stem)):
        if data := read_if_there(folder, file, uri):
            return data
    raise PhotoError("vanished", "a file of the pair was listed before, but is gone now", where=f"{folder / stem}.*")


def _named(folder: Place, stem: str) -> Iterator[str]:
    """Pictures of a folder with a name, also those whose ending is in both cases, such as `1.Jpg`."""
    if isinstance(folder, StorePath):
        behind = (one.path for one in folder.folder().entries(behind=f"{stem}."))
        paths: Iterator[str] = takewhile(lambda path: path.startswith(f"{stem}."), behind)
    else:
        parent = (folder / stem).parent
        names = sorted(path.name for path in parent.iterdir()) if parent.is_dir() else []
        paths = (f"{stem.rpartition('/')[0]}/{name}".removeprefix("/") for name in names)
    return (path for path in paths if path.rpartition(".")[0] == stem and ending(path) in PICTURE_ENDINGS)
