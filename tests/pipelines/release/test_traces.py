"""A person is recognised in rows, rejects, paths and texts, and others are not."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.release.traces import REDACTED, Traces, traces_of
from faceloom.schemas.errors import FaceloomError
from faceloom.schemas.keys import digest
from faceloom.schemas.photos import Reject

PHOTO, OTHER = "ab" * 32, "cd" * 32
ADA = Traces("Ada", frozenset(), frozenset({PHOTO}), frozenset({("web", "people/ada-01.jpg")}))


def reject(uri: str = "x.jpg", key: str = "", message: str = "too dark", source: str = "web") -> Reject:
    return Reject("render", source, uri, "morph_folds", message, key)


@pytest.mark.parametrize(
    "one",
    [
        reject("people/ada-01.jpg"),
        reject("Ada/7.jpg"),
        reject("album.tar::Ada.jpg"),
        reject(key=f"{PHOTO[:16]}-f00"),
        reject(key=f"{OTHER[:16]}-f00-x-{PHOTO[:16]}-f00"),
        reject(message="the mesh folds with people/ada-01.jpg"),
        reject(message="too dark: Ada, photo 3"),
    ],
)
def test_rejects_of_the_person(one: Reject) -> None:
    assert ADA.rejects(one)


@pytest.mark.parametrize(
    "one", [reject(), reject("Adam/7.jpg"), reject(key=f"{OTHER[:16]}-f00"), reject(message="Adams")]
)
def test_rejects_of_others(one: Reject) -> None:
    assert not ADA.rejects(one)


def test_a_reject_of_an_unknown_photo_may_be_of_the_person_where_their_photos_lie() -> None:
    """All photos of a person lie at one place of the prefix tree, so other shards hold none of them."""
    traces = Traces("Ada", others=frozenset({OTHER}), other_places=frozenset({("web", "known.jpg")}))
    bits = f"{int(digest('Ada')[:8], 16):032b}"
    other = "".join("10"[int(bit)] for bit in bits)
    for home in ("all", bits[:1], bits[:9], f"{bits}0101"):
        assert traces.may_name(reject("x.jpg"), f"train-{home}-abcdefabcdef")
        assert not traces.may_name(reject("known.jpg"), f"train-{home}-abcdefabcdef")
    for elsewhere in (other[:1], bits[:8] + other[8], other):
        shard = f"train-{elsewhere}-abcdefabcdef"
        assert not traces.may_name(reject("x.jpg", key=f"{PHOTO[:16]}-f00"), shard)
        assert not traces.may_name(reject("x.jpg", key=f"{PHOTO[:16]}-f00-x-{OTHER[:16]}-f00"), shard)
        assert traces.may_name(reject("x.jpg", key=f"{OTHER[:16]}-f00-x-{PHOTO[:16]}-f00"), shard)
        assert not traces_of(photos=[PHOTO]).may_name(reject("x.jpg"), shard)


def table_of(*rows: tuple[str, str, str]) -> pa.Table:
    """Rows of an index: identity, path and sha256 of the photo."""
    return pa.Table.from_pylist([
        {"identity": identity, "people": [identity], "photo_sha256": photo, "uri": uri, "parents": []}
        for identity, uri, photo in rows
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("who", "identity", "uri", "goes"),
    [
        ("Ada", f"photo-{OTHER[:16]}-f00", "Ada/1.jpg", True),
        ("Ada", f"photo-{OTHER[:16]}-f117", "train/Ada/1.jpg", True),
        ("Ada", f"photo-{OTHER[:16]}", "album.tar::Ada.jpg", True),
        ("Ada", f"photo-{OTHER[:16]}-f00", "Adam/1.jpg", False),
        ("Ada", f"photo-{PHOTO[:16]}-f00", "Ada/1.jpg", False),
        ("Ada", "Grace", "Ada/1.jpg", False),
        ("12", f"photo-{OTHER[:16]}-f00", "train/12/1.jpg", True),
        ("12", f"photo-{OTHER[:16]}-f00", "train/1/12.jpg", False),
        ("", f"photo-{OTHER[:16]}-f00", "/1.jpg", False),
    ],
)
def test_a_face_without_a_name_goes_where_its_path_has_the_name(who: str, identity: str, uri: str, goes: bool) -> None:
    """A person that the source names is not erased because of a path."""
    assert Traces(who).rows(table_of((identity, uri, OTHER))) == [goes]


def test_texts_are_redacted() -> None:
    for text, redacted in (
        ("Ada", REDACTED),
        (f"of Ada, {PHOTO}", f"of {REDACTED}, {REDACTED}"),
        (f"{PHOTO[:16]}-f00-m000", f"{REDACTED}-f00-m000"),
        ("Adam", "Adam"),
        ("", ""),
    ):
        assert ADA.redacted(text) == redacted
    assert traces_of(photos=[PHOTO]).redacted("") == "", "photos alone have no name"


def test_a_number_as_identity_is_a_step_of_a_path() -> None:
    seven = traces_of("7")
    assert seven.names_path("train/7/1.jpg") and not seven.names_path("train/77/1.jpg")


@pytest.mark.parametrize(
    "text",
    [
        "identity 12 has one photo", "the label: 12", "Person 12, photo 3", "label=12", "no photo of '12'", 'of "12".',
        "train/12/0001.jpg is too dark", "12/0001.jpg is too dark", "album/12::3.jpg", "12",
        "2 identities are in several sources (7 in web and rec, 12 in web and rec), and each counts as one person",
        "1 identity is in several sources (12 in web and rec)",
        "source web: 7 has 1,200 of 2,000 photos, 12 has 800 of 2,000 photos. If this is not a person",
    ],
)  # fmt: skip
def test_a_number_as_identity_is_found_where_a_text_names_it(text: str) -> None:
    label = traces_of("12")
    assert label.names(text) and not traces_of("1").names(text) and not traces_of("2").names(text)
    assert "12" not in label.redacted(text).split("/0")[0] and not label.names(label.redacted(text))


@pytest.mark.parametrize(
    "text",
    [
        "12 samples", "12 people have one photo", "identity 121", "identity 12.5", "at 12:30", "3/12/2026", "12/24",
        "label 1,12", "0.12 of them", "size 12", "photo 12 of 20", "(12 in all)", "train.rec::000000012",
        "split test: 12 has 3 samples",
    ],
)  # fmt: skip
def test_an_ordinary_figure_is_no_identity(text: str) -> None:
    label = traces_of("12")
    assert not label.names(text) and label.redacted(text) == text


@given(st.text(min_size=1), st.text())
def test_odd_identities_break_nothing(identity: str, text: str) -> None:
    traces = traces_of(identity)
    assert not traces.names(traces.redacted(text)) or identity in REDACTED or REDACTED in identity
    traces.rejects(reject(text or "x", message=identity))


@pytest.mark.parametrize("photo", ["", "ab", "g" * 64, PHOTO + "0"])
def test_a_photo_is_given_by_its_digest(photo: str) -> None:
    with pytest.raises(FaceloomError, match="no digest of a photo"):
        traces_of(photos=[photo])
    assert traces_of(photos=[f" {PHOTO.upper()}\n"]).asked == {PHOTO}


def test_a_photo_of_two_people_is_no_trace_of_one() -> None:
    """The other person's samples stay, with the digest and path of the photo; the face of the person is a trace."""
    ada, grace = (
        {"key": f"{PHOTO[:16]}-f0{n}-m000", "split": "train", "identity": name, "people": [name], "source": "web",
         "uri": "group.jpg", "photo_sha256": PHOTO, "parents": []}
        for n, name in enumerate(("Ada", "Grace"))
    )  # fmt: skip
    alone = {**ada, "key": f"{OTHER[:16]}-f00-m000", "uri": "own.jpg", "photo_sha256": OTHER}
    traces = traces_of("Ada").with_photos_of([pa.Table.from_pylist([ada, grace]), pa.Table.from_pylist([alone])])
    assert (set(traces.photos), set(traces.shared), set(traces.places)) == ({OTHER}, {PHOTO}, {("web", "own.jpg")})
    for text in ("group.jpg is dark", PHOTO, f"{PHOTO[:16]}-f01-m000"):
        assert not traces.names(text), text
    for text in ("own.jpg is dark", OTHER, f"{PHOTO[:16]}-f00-m000", f"{OTHER[:16]}-f01"):
        assert traces.names(text), text
    assert not traces.rejects(reject("group.jpg", f"{PHOTO[:16]}-f01-m002")), "a reject of Grace"
    assert traces.rejects(reject("group.jpg", f"{PHOTO[:16]}-f00-m002"))
    both = traces_of(photos=[PHOTO]).with_photos_of([pa.Table.from_pylist([ada, grace])])
    assert both.photos == {PHOTO} and not both.shared
