from __future__ import annotations

import pickle
from collections.abc import Iterator

import pytest

from faceloom.pipelines.sources.ahead_source import AheadSource
from faceloom.pipelines.sources.read_ahead import AHEAD
from faceloom.pipelines.sources.source import ExpectingSource, LabelledSource, expect, labels_of, notices_of_scan
from faceloom.schemas.errors import PhotoError
from faceloom.schemas.labels import LabelFiles
from faceloom.schemas.photos import Photo, Reject


class Plain:
    name, notices = "plain", ("left out",)

    def scan(self) -> Iterator[Photo | Reject]:
        yield Photo("plain", "a.jpg", None, None, None, None, (), None, 1, "1")

    def read(self, photo_uri: str) -> bytes:
        if photo_uri == "gone":
            raise PhotoError("vanished", "gone", where=photo_uri)
        return photo_uri.encode()


class Labelled(Plain):
    def __init__(self) -> None:
        self.asked: list[str] = []

    def read_labels(self, photo_uri: str) -> LabelFiles | None:
        self.asked.append(photo_uri)
        if photo_uri == "bad":
            raise PhotoError("unreadable", "bad labels", where=photo_uri)
        return LabelFiles("given", (), (("", photo_uri.encode()),)) if photo_uri != "without" else None


def test_it_passes_on_what_the_adapter_does() -> None:
    source = AheadSource(Plain())
    assert isinstance(source, ExpectingSource) and isinstance(source, LabelledSource)
    assert [row.uri for row in source.scan()] == ["a.jpg"] and source.name == "plain"
    assert notices_of_scan(source) == ("source plain: left out",)
    assert source.read("a") == b"a" and labels_of(source, "a") is None
    assert pickle.loads(pickle.dumps(source)).read("b") == b"b"


def test_labels_come_with_the_photo() -> None:
    adapter = Labelled()
    source = AheadSource(adapter)
    uris = ["a", "without", "b", "bad"]
    expect(source, uris)
    for uri in uris[:3]:
        assert source.read(uri) == uri.encode()
        assert labels_of(source, uri) == labels_of(Labelled(), uri)
    assert source.read("bad") == b"bad"
    with pytest.raises(PhotoError, match="bad labels"):
        source.read_labels("bad")
    assert sorted(adapter.asked) == sorted(uris), "each once"
    assert labels_of(source, "c") is not None, "also of a photo that was not read"


def test_few_labels_are_kept() -> None:
    source = AheadSource(Labelled())
    for number in range(5 * AHEAD):
        source.read(str(number))
    assert len(source._labels) == AHEAD


def test_an_error_of_the_photo_is_its_own() -> None:
    source = AheadSource(Labelled())
    expect(source, ["a", "gone", "b"])
    assert source.read("a") == b"a"
    with pytest.raises(PhotoError, match="gone"):
        source.read("gone")
    assert source.read("b") == b"b"
