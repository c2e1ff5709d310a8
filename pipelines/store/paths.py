"""Where each file of an output folder lies. No other module spells these names.

Paths are relative to the output folder, with forward slashes. A folder of releases holds shards in the same places.
"""

from __future__ import annotations

MARKER = "faceloom.json"
"""Marks a folder as an output of faceloom."""
RELEASES_MARK = "a folder of faceloom releases"
"""What the marker of a folder of releases states about it."""
BUILD_RECORD = "build.json"
"""Record of the finished build; written last."""
DATA_CARD = "README.md"
LOGS = "logs"
LAST_RUN = f"{LOGS}/last_run.json"
"""Timings of the last run that had something to do."""
ERASED = f"{LOGS}/erased"
"""Marks a build from which a person was erased; the next finished build deletes it."""
LOCK = ".lock"

SHARDS = "shards"
INDEX = "index"
FACES = "faces"
REJECTS = "rejects"
NEIGHBOURS = "neighbours"
WORK = "work"
"""Files of an unfinished build; empty once it is finished."""
JOBS = f"{WORK}/dataflow"
"""Files of jobs on Dataflow begin so. A job may go on after the run that started it, so only the end of a build
deletes them."""
LISTINGS = f"{WORK}/listing-"
"""Lists of the objects of sources begin so, until the scan is finished."""
FOLDERS = (SHARDS, INDEX, FACES, REJECTS, NEIGHBOURS, WORK, LOGS)
"""All folders of an output folder. Whatever else lies in it is the user's, and is left alone."""

RELEASES = "releases"
CHANNELS = "channels"
ROOT_FOLDERS = (SHARDS, INDEX, RELEASES, CHANNELS)
"""All folders of a folder of releases."""
RELEASE = "release.json"
"""Manifest of a release; written last."""
CROISSANT = "croissant.json"
GALLERY = "gallery.html"
UNFINISHED = "unfinished"
"""Marks the folder of a release that is being written; deleted after the manifest is there."""
SUMS = "SHA256SUMS"
"""Digests of the files beside it, as `sha256sum` writes them."""
TOMBSTONE = "tombstone.json"
"""What is left of a release whose files were purged."""

STAGES = ("scan", "analyse", "plan", "render")
"""Stages that reject photos and samples, in order."""

_FAILURE = ".failed.json"


def shard_tar(shard: str) -> str:
    """A finished shard."""
    return f"{SHARDS}/{shard}.tar"


def shard_index(shard: str) -> str:
    """Index of a finished shard, and its commit marker."""
    return f"{INDEX}/{shard}.parquet"


def shard_of_index(path: str) -> str:
    """Name of the shard that an index belongs to."""
    return path.removeprefix(f"{INDEX}/").removesuffix(".parquet")


def release_folder(name: str, version: str) -> str:
    """Folder of a release."""
    return f"{RELEASES}/{name}/{version}"


def release_file(name: str, version: str, file: str = RELEASE) -> str:
    """A file of a release; by default its manifest, which is also its commit marker."""
    return f"{release_folder(name, version)}/{file}"


def channel_log(name: str) -> str:
    """Log of the channels of a set."""
    return f"{CHANNELS}/{name}.jsonl"


def face_table(analyser: str) -> str:
    """Folder of the face table that one analyser writes."""
    return f"{FACES}/{analyser}"


def face_table_file(analyser: str, task: str) -> str:
    """Rows of the face table that one task writes."""
    return f"{face_table(analyser)}/{task}.parquet"


def reject_table(stage: str) -> str:
    """Rejects of one stage."""
    return f"{REJECTS}/{stage}.parquet"


def part_tar(part: str) -> str:
    """A rendered part: a fragment of a tar file without its end."""
    return f"{WORK}/{part}.tar"


def part_index(part: str) -> str:
    """Index of a rendered part, and its commit marker."""
    return f"{WORK}/{part}.parquet"


def listing_piece(name: str, number: int) -> str:
    """A piece of the list of a source in an object store."""
    return f"{LISTINGS}{name}-{number:06d}.parquet"


def planned_faces(work: str) -> str:
    """Plan rows of a part, or of a block of textures, that is not made yet."""
    return f"{WORK}/{work}.plan.parquet"


def failure_note(work: str) -> str:
    """Why a part, or a block of textures, could not be made in this run."""
    return f"{WORK}/{work}{_FAILURE}"


def is_failure_note(path: str) -> bool:
    """Whether a path is that of a failure note."""
    return path.endswith(_FAILURE)


def work_name(path: str) -> str:
    """Name of the part, block or search that a file under `work/` belongs to."""
    return path.removeprefix(f"{WORK}/").split(".")[0]


def neighbour_table(search: str) -> str:
    """The neighbours that a search found."""
    return f"{NEIGHBOURS}/{search}.parquet"


def neighbour_facts(search: str) -> str:
    """Recall of a search, and the faces that could not be compared."""
    return f"{NEIGHBOURS}/{search}.json"


def texture_block(block: str) -> str:
    """Textures of a block, uint8 (N, S, S, 3), without a header."""
    return f"{WORK}/{block}.textures"


def texture_facts(block: str) -> str:
    """Names, landmarks and sketches of a block, and the faces without a texture; its commit marker."""
    return f"{WORK}/{block}.facts.npz"


def search_groups(search: str) -> str:
    """Names of the blocks of a search, group by group."""
    return f"{WORK}/{search}.groups.json"


def search_centroids(search: str) -> str:
    """Centroids of the lists of an index, by which a search finds candidates."""
    return f"{WORK}/{search}.centroids.npz"


def search_vectors(search: str, piece: int) -> str:
    """Vectors of one piece of an index, and their lists."""
    return f"{WORK}/{search}-{piece:06d}.vectors.npz"


def search_faces(search: str, piece: int) -> str:
    """The faces of the vectors of one piece of an index; its commit marker."""
    return f"{WORK}/{search}-{piece:06d}.faces.npz"


def search_sample(search: str) -> str:
    """The true neighbours of some faces of a search, with which the recall of its index is measured."""
    return f"{WORK}/{search}.sample.parquet"


def search_rows(search: str, group: int) -> str:
    """The neighbours of one group of a search."""
    return f"{WORK}/{search}-{group:06d}.rows.parquet"
