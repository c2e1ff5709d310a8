"""A diff as one self-contained HTML page, with pictures of some changed samples before and after."""

from __future__ import annotations

import base64
import os
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceloom.pipelines.read.sample_members import decode_member
from faceloom.pipelines.release.diff import KINDS, Diff, SampleSet
from faceloom.pipelines.store.checked_shards import read_places, read_samples
from faceloom.pipelines.store.paths import shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from faceloom.schemas.regular_files import UnfitFileError, open_regular_file

PER_KIND = 12
"""Changed samples of each kind that a page shows."""
MOST_PEOPLE = 200
"""People that a page lists."""
THUMBNAIL = 160
"""Longest side of a picture in pixels."""
_QUALITY = 85
_SHOWN = ("masked", "face", "upper", "lr")
"""Members to show, the first that a sample has."""
_WORDS = {
    "added": "added", "removed": "removed", "moved": "moved to another split", "rerendered": "re-rendered",
    "relabelled": "relabelled", "lineage": "lineage only", "unchanged": "unchanged",
}  # fmt: skip
_MARK = b"<!doctype html>\n<!-- faceloom diff -->"
_TEMPLATE = """\
<!doctype html>
<!-- faceloom diff -->
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{{ found.before }} and {{ found.after }}</title>
<style>
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 70rem; padding: 1rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; margin: 0.5rem 0; }
th, td { border-bottom: 1px solid var(--line); padding: 0.2rem 1rem 0.2rem 0; text-align: left; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.samples { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); }
figure { border: 1px solid var(--line); border-radius: 0.4rem; margin: 0; padding: 0.6rem; }
figure div { display: flex; gap: 0.6rem; }
figure img { max-width: calc(50% - 0.3rem); image-rendering: auto; }
figcaption { font-size: 0.85rem; margin-top: 0.4rem; }
</style>
</head>
<body>
<h1>{{ found.before }} and {{ found.after }}</h1>
<p>{{ "{:,}".format(found.samples[0]) }} and {{ "{:,}".format(found.samples[1]) }} samples;
{{ "{:,}".format(found.shards[0]) }} shards are shared.</p>
<table>
<caption>Samples by kind of change</caption>
<tr><th scope="col">change</th><th scope="col">samples</th><th scope="col">by split</th></tr>
{% for kind, count in found.counts.items() %}
<tr><th scope="row">{{ words[kind] }}</th><td class="number">{{ "{:,}".format(count) }}</td>
<td>{% for split, number in found.by_split.get(kind, {}).items() %}{{ split }} {{ "{:,}".format(number) }} {% endfor %}
</td></tr>
{% endfor %}
</table>
{% for name, values in facts.items() if values %}<p>{{ name }}: {{ values | join(", ") }}</p>{% endfor %}
{% for kind, rows in shown.items() if rows %}
<h2>{{ words[kind] | capitalize }}: {{ rows | length }} of {{ "{:,}".format(found.counts[kind]) }}</h2>
<div class="samples">
{% for row in rows %}
<figure>
<div>{% for side, picture in row.pictures %}<img src="{{ picture }}" alt="{{ side }}: {{ row.key }}">{% endfor %}</div>
<figcaption>{{ row.key }}<br>{{ row.text }}</figcaption>
</figure>
{% endfor %}
</div>
{% endfor %}
{% if people %}
<h2>People</h2>
<table>
<caption>{{ people | length }} of {{ "{:,}".format(found.by_identity | length) }} people with changes,
most changes first</caption>
<tr><th scope="col">person</th><th scope="col">changes</th></tr>
{% for name, counts in people %}
<tr><th scope="row">{{ name }}</th><td>
{%- for kind, count in counts.items() %}{{ words[kind] }} {{ "{:,}".format(count) }} {% endfor %}</td></tr>
{% endfor %}
</table>
{% endif %}
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class ShownChange:
    """A changed sample on the page: its key, what changed, and its pictures as data URIs, each with its side."""

    key: str
    text: str
    pictures: tuple[tuple[str, str], ...]


def diff_page(before: SampleSet, after: SampleSet, found: Diff, *, per_kind: int = PER_KIND, seed: int = 0) -> bytes:
    """Make the page of a diff. It needs no other file and no network, and runs no script.

    Args:
        before, after: what was compared.
        found: the diff.
        per_kind: samples of each kind to show, chosen by the seed.
        seed: of the choice; the same seed, the same page.

    Raises:
        StorageError: a sample to show is damaged.
    """
    import jinja2

    picked = _pick(found, per_kind, seed)
    pictures = [
        _pictures(side, {(row[f"shard_{name}"], row["key"]) for row in picked if row[f"shard_{name}"]})
        for side, name in ((before, "before"), (after, "after"))
    ]
    shown: dict[str, list[ShownChange]] = {kind: [] for kind in KINDS}
    for row in picked:
        own = [(name, side[row["key"]]) for name, side in zip(("before", "after"), pictures) if row["key"] in side]
        shown[row["kind"]].append(ShownChange(row["key"], _text(row), tuple(own)))
    people = sorted(found.by_identity.items(), key=lambda item: (-sum(item[1].values()), item[0]))[:MOST_PEOPLE]
    facts = {
        "Splits added": found.splits_added, "Splits removed": found.splits_removed,
        "Members added": found.members_added, "Members removed": found.members_removed,
    }  # fmt: skip
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(_TEMPLATE)
    return template.render(found=found, words=_WORDS, facts=facts, shown=shown, people=people).encode()


def write_diff_page(file: Path, page: bytes) -> None:
    """Write a page. It replaces the page of a diff, and no other file.

    Raises:
        StorageError: another file has this name, or the page cannot be written.
    """
    target = Path(os.path.realpath(file))  # the user's own path may be a link
    if not target.parent.is_dir():
        raise StorageError("the folder of the page does not exist", where=str(file), remedy="Create it first")
    if os.path.lexists(target) and not _is_page(target):
        raise StorageError("a file that is no diff has this name", where=str(file), remedy="Choose a new name")
    with Storage(str(target.parent)).write(target.name) as stream:
        stream.write(page)


def _is_page(file: Path) -> bool:
    try:
        with open_regular_file(file, follow_links=False) as stream:
            return stream.read(len(_MARK)) == _MARK
    except (OSError, UnfitFileError):
        return False


def _pick(found: Diff, per_kind: int, seed: int) -> list[dict[str, Any]]:
    """Some changes of each kind, in the order of the diff."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rng, numbers = random.Random(seed), []
    for kind in KINDS:
        rows = pc.indices_nonzero(pc.equal(found.changes["kind"], kind)).to_pylist()
        numbers += sorted(rng.sample(rows, min(per_kind, len(rows))))
    picked: list[dict[str, Any]] = found.changes.take(pa.array(numbers, pa.int64())).to_pylist()
    return picked


def _text(row: Mapping[str, str | None]) -> str:
    """Identity, split and mask of a sample; both values where they differ."""
    words = []
    for name in ("identity", "split", "mask"):
        both = [row[f"{name}_before"], row[f"{name}_after"]]
        values = list(dict.fromkeys("none" if value == "" else value for value in both if value is not None))
        words.append(f"{name} {' → '.join(values)}")
    return ", ".join(words)


def _pictures(side: SampleSet, wanted: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A picture of each of some samples, given by shard and key, as a data URI, by key."""
    import numpy as np

    by_shard: dict[str, list[str]] = {}
    for shard, key in sorted(wanted):
        by_shard.setdefault(shard, []).append(key)
    found = {}
    for shard, keys in by_shard.items():
        places = read_places(side.storage, shard)
        rows = np.flatnonzero(np.isin(places.keys, [key.encode() for key in keys])).tolist()
        for key, files in read_samples(side.storage, shard, [places[row] for row in rows]):
            names = {name.partition(".")[0]: name for name in files}
            if name := next((names[member] for member in _SHOWN if member in names), None):
                found[key] = _thumbnail(name, files[name], f"{shard_tar(shard)}::{key}")
    return found


def _thumbnail(name: str, data: bytes, where: str) -> str:
    import cv2

    picture = decode_member(name, data, where)
    scale = THUMBNAIL / max(picture.shape[:2])
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    colours = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", colours, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode()}"
