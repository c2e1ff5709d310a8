"""The gallery: one page in HTML that shows what shards hold, without a server and without requests."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from faceloom.pipelines.cards.gallery_mark import MARK
from faceloom.pipelines.cards.templates import fill, read_template
from faceloom.pipelines.gallery.charts import make_charts
from faceloom.pipelines.gallery.overview import Overview, look_over
from faceloom.pipelines.gallery.reject_list import Rejects, list_reasons
from faceloom.pipelines.gallery.thumbnails import Shown, show_sample
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import ShardRecord
from faceloom.pipelines.store.checked_shards import read_places, read_samples
from faceloom.pipelines.store.paths import shard_tar
from faceloom.pipelines.store.storage import Storage

if TYPE_CHECKING:
    from faceloom.pipelines.sources.source import Source

MOST_SAMPLES = 200
"""Samples that a page shows."""
MOST_SHARDS = 8
"""Shards that these are drawn from."""
_PACKAGE = "faceloom.pipelines.gallery"


def gallery_html(
    storage: Storage,
    title: str,
    shards: Sequence[ShardRecord],
    rejects: Rejects,
    watcher: Watcher,
    *,
    sources: Mapping[str, Source] | None = None,
    most: int = MOST_SAMPLES,
) -> bytes:
    """Return the gallery of a build or a release, the same bytes for the same shards and rejects.

    Of all samples only those on the page are read, and checked against the index.

    Args:
        storage: the folder of the shards.
        title: of the page.
        shards: as a record or a manifest lists them.
        rejects: of all stages, or their numbers by stage and code; without `sources` they are only counted.
        watcher: receives the progress.
        sources: open sources by name, which show examples of rejects, with pictures where a photo still exists. A
            mapping without sources shows their names and messages.
        most: samples to show.

    Raises:
        StorageError: a shard or an index cannot be read or is damaged.
    """
    overview = look_over(storage, shards, most=most, most_shards=MOST_SHARDS, watcher=watcher)
    shown = _show(storage, shards, overview, watcher)
    style, script = (read_template(_PACKAGE, name).strip() for name in ("gallery.css", "gallery.js"))
    page = fill(
        _PACKAGE,
        "gallery.html.j2",
        mark=MARK,
        title=title,
        overview=overview,
        shown=shown,
        choices=_choices(shown),
        marks=list(dict.fromkeys(mark for one in shown for mark in one.marks)),
        people=sorted({person for one in shown for person in one.drawn.people}),
        charts=make_charts(overview, shown),
        reasons=list_reasons(rejects, sources),
        style=style,
        script=script,
        style_sum=_csp_sum(style),
        script_sum=_csp_sum(script),
    )
    return page.encode("utf-8", "backslashreplace")


def _show(storage: Storage, shards: Sequence[ShardRecord], overview: Overview, watcher: Watcher) -> list[Shown]:
    """The drawn samples in their order, read shard by shard."""
    watcher.stage("pictures", len(overview.drawn), "samples")
    shown: dict[str, Shown] = {}
    for number in sorted({drawn.shard for drawn in overview.drawn}):
        shard = shards[number]
        of_shard = sorted((drawn for drawn in overview.drawn if drawn.shard == number), key=lambda drawn: drawn.row)
        places = read_places(storage, shard.name, shard)
        samples = read_samples(storage, shard.name, (places[drawn.row] for drawn in of_shard))
        for drawn, (key, files) in zip(of_shard, samples, strict=True):
            shown[drawn.key] = show_sample(drawn, files, f"{shard_tar(shard.name)}::{key}")
            watcher.done(len(shown))
    return [shown[drawn.key] for drawn in overview.drawn]


def _choices(shown: Sequence[Shown]) -> list[tuple[str, str, list[str]]]:
    """Filters of the page: name of the attribute, its label, and its values among the samples on the page."""

    def values(found: Iterable[str]) -> list[str]:
        return sorted(set(found))

    return [
        ("split", "Split", values(one.drawn.split for one in shown)),
        ("mask", "Mask", values(one.drawn.mask or "none" for one in shown)),
        ("source", "Source", values(one.drawn.source for one in shown)),
    ]


def _csp_sum(text: str) -> str:
    """Digest by which a Content-Security-Policy admits an inline style or script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
