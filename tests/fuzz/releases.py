"""Folders of releases and packed releases of others: tampered manifests, logs, indexes, shards and tar files."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import rfc8785

from tests.fuzz import notes, outputs
from tests.fuzz.base import INPUT, OUT, Case, Kind, finished_build, without_beam
from tests.fuzz.mutate import mutate, tweak
from tests.fuzz.rules import Fault, Outcomes

_FOLDER = "releases/fuzz/1.0.0"
_LOG = "channels/fuzz.jsonl"
_PACK = "fuzz.tar"
_BESIDE = ("README.md", "croissant.json", "gallery.html")


@cache
def finished_release() -> Case:
    """The files of a folder with the release `fuzz@1.0.0`, and a log of two lines."""
    from faceloom.pipelines.release.create import create_release
    from faceloom.pipelines.release.withdraw import promote
    from faceloom.pipelines.store.storage import Storage

    with tempfile.TemporaryDirectory(prefix="faceloom-fuzz-") as made, without_beam():
        out, root = Path(made) / OUT, Path(made) / "root"
        for name, data in finished_build().items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_bytes(data)
        creating = "faceloom.pipelines.release.create"
        with mock.patch(f"{creating}.publish", _publish), mock.patch(f"{creating}._check_before_copying"):
            create_release(root, "fuzz", "1.0.0", out=out)
        for channel in ("beta", "stable"):
            promote(Storage(str(root)), "fuzz@1.0.0", channel, why="a reason", who="Ada")
        files = {file.relative_to(root).as_posix(): file.read_bytes() for file in root.rglob("*") if file.is_file()}
    return {name: data for name, data in sorted(files.items()) if name != ".lock"}


def _publish(root: Any, release: Any, **_: Any) -> Any:
    """A release without gates, which would refuse photos without a licence."""
    from faceloom.pipelines.release.manifest import published
    from faceloom.pipelines.release.publish import write_release

    done = published(release)
    write_release(root, done, dict.fromkeys(_BESIDE, b"made up"))
    return done


def _case(files: dict[str, bytes], *, packed: Sequence[tuple[str, bytes]] | None = None) -> Case:
    """A folder of releases, and the tar file that holds the same files or others."""
    members = _members(files) if packed is None else packed
    return {**{f"root/{name}": data for name, data in files.items()}, _PACK: _tar(members)}


def _members(files: dict[str, bytes]) -> list[tuple[str, bytes]]:
    """The files of a release as `release pack` orders them: the manifest first."""
    kept = [(name, data) for name, data in files.items() if name not in ("faceloom.json", ".lock")]
    return sorted(kept, key=lambda one: one[0] != f"{_FOLDER}/release.json")


def _tar(members: Sequence[tuple[str, bytes]], kind: bytes = tarfile.REGTYPE) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size, info.type = len(data), kind
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _with(**changes: bytes | None) -> dict[str, bytes]:
    """The files of the release with some exchanged, or removed if they are None."""
    files = {**finished_release(), **changes}
    return {name: data for name, data in files.items() if data is not None}


def _manifest() -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(finished_release()[f"{_FOLDER}/release.json"])
    return plain


def _signed(plain: Any, changes: dict[str, bytes] | None = None) -> dict[str, bytes]:
    """A release whose manifest and digests fit together, as an attacker makes it."""
    try:
        manifest = rfc8785.dumps(plain)
    except (ValueError, RecursionError, TypeError):
        manifest = notes.dump(plain)
    files = {**finished_release(), **(changes or {}), f"{_FOLDER}/release.json": manifest}
    files.pop(_LOG, None)
    listed = {name: files[f"{_FOLDER}/{name}"] for name in (*_BESIDE, "release.json")}
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(listed.items()))
    return {**files, f"{_FOLDER}/SHA256SUMS": sums.encode()}


def _exchanged(number: int, tar: bytes | None = None, index: bytes | None = None) -> dict[str, bytes]:
    """A release in which one shard or its index has another content, and all digests fit."""
    from faceloom.pipelines.release.manifest import pool_name

    plain = _manifest()
    shard = plain["shards"][number % len(plain["shards"])]
    old = finished_release()
    tar = old[f"shards/{shard['name']}.tar"] if tar is None else tar
    index = old[f"index/{shard['name']}.parquet"] if index is None else index
    shard["bytes"], shard["sha256"] = len(tar), hashlib.sha256(tar).hexdigest()
    shard["index_bytes"], shard["index_sha256"] = len(index), hashlib.sha256(index).hexdigest()
    shard["name"] = pool_name(shard["name"], shard["sha256"], shard["index_sha256"])
    return _signed(plain, {f"shards/{shard['name']}.tar": tar, f"index/{shard['name']}.parquet": index})


def seeds() -> dict[str, Case]:
    """What an attacker writes into a manifest, a log or a tar file."""
    whole = finished_release()
    made = {"valid": _case(whole), "signed again": _case(_signed(_manifest()))}
    names: tuple[Any, ...] = ("../../outside", "..", "a\0b", "", "/dev/zero", "x" * 300, -1, None, [], 2**62)
    for field in ("name", "version", "parent", "seed", "plan", "format", "shards", "splits", "written"):
        made |= {f"{field} {str(new)[:9]!r}": _case(_signed({**_manifest(), field: new})) for new in names}
    for field in ("name", "split", "samples", "bytes", "sha256", "index_bytes", "index_sha256"):
        for new in names:
            plain = _manifest()
            plain["shards"][0][field] = new
            made[f"shard {field} {str(new)[:9]!r}"] = _case(_signed(plain))
    for name in ("release.json", "SHA256SUMS", *_BESIDE):
        made[f"{name} gone"] = _case(_with(**{f"{_FOLDER}/{name}": None}))
        made |= {f"{name} {n}": _case(_with(**{f"{_FOLDER}/{name}": data})) for n, data in enumerate(notes.BAD_JSON)}
    line = whole[_LOG].splitlines(keepends=True)[0]
    logs = (b"\n", b"{}\n", line * 2, line[:-1], line.replace(b"Ada", b"Eve"), b"[" * 100_000, b"\xff\n")
    made |= {f"log {n}": _case(_with(**{_LOG: data})) for n, data in enumerate(logs)}
    members = _members(whole)
    packs: dict[str, list[tuple[str, bytes]]] = {
        "pack empty": [],
        "pack escapes": [*members, ("../../outside", b"x"), ("/tmp/outside", b"x")],
        "pack of the manifest alone": members[:1],
        "pack in another order": members[::-1],
        "pack with a marker": [*members, ("faceloom.json", b"{}")],
        "pack twice": members * 2,
        "pack under another name": [(name.replace("fuzz", "x"), data) for name, data in members],
        "pack with an empty name": [*members, ("", b"x")],
    }
    made |= {name: _case(whole, packed=packed) for name, packed in packs.items()}
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE):
        made[f"pack of kind {kind.decode()}"] = {
            **_case(whole),
            _PACK: _tar([(name, b"") for name, _ in members], kind),
        }
    made |= {f"index {n}": _case(_exchanged(n, index=data)) for n, data in enumerate((b"", b"PAR1", bytes(1000)))}
    made |= {f"shard {n}": _case(_exchanged(n, tar=data)) for n, data in enumerate((b"", b"x", bytes(1024)))}
    return made


def make(rng: Random) -> Case:
    """A release with values exchanged and digests made to fit, or with bytes damaged."""
    whole = finished_release()
    what = rng.random()
    if what < 0.3:
        return _case(_signed(tweak(rng, _manifest())))
    if what < 0.55:
        name = rng.choice([name for name in whole if name.startswith("index/")])
        number = [shard["name"] for shard in _manifest()["shards"]].index(name[6:-8])
        return _case(_exchanged(number, index=outputs.changed(rng, whole[name])))
    if what < 0.65:
        name = rng.choice([name for name in whole if name.startswith("shards/")])
        number = [shard["name"] for shard in _manifest()["shards"]].index(name[7:-4])
        return _case(_exchanged(number, tar=mutate(rng, whole[name])))
    if what < 0.8:
        return {**_case(whole), _PACK: mutate(rng, _tar(_members(whole)), list(whole.values()))}
    name = rng.choice([*whole, _LOG, _LOG, f"{_FOLDER}/release.json"])
    return _case(_with(**{name: mutate(rng, whole[name], list(whole.values()))}))


def run(folder: Path, outcomes: Outcomes) -> None:
    """List, show, verify, read, promote, pack and unpack."""
    from faceloom.pipelines.cli.release_summary import listed_releases
    from faceloom.pipelines.release.open_release import open_release
    from faceloom.pipelines.release.pack import pack_release
    from faceloom.pipelines.release.resolve import resolve
    from faceloom.pipelines.release.root import open_root
    from faceloom.pipelines.release.unpack import unpack_release
    from faceloom.pipelines.release.urls import release_urls
    from faceloom.pipelines.release.verify import verify_release
    from faceloom.pipelines.release.withdraw import promote

    out = folder / OUT
    out.mkdir()
    root = folder / INPUT / "root"
    storage = outcomes.attempt("open", lambda: open_root(root))
    if storage is not None:
        outcomes.attempt("list", lambda: listed_releases(storage, None))
        outcomes.attempt("show", lambda: resolve(storage, "fuzz@1.0.0"))
        for deep in (False, True):
            done = outcomes.attempt("verify", partial(verify_release, storage, "fuzz@1.0.0", deep=deep))
            with outcomes.noting_faults():
                if any(not all(fault) for fault in (done.faults if done else ())):
                    raise Fault(f"verify: a fault is not explained\n{done}")
        outcomes.attempt("urls", lambda: release_urls(storage, "fuzz@1.0.0", "train"))
        outcomes.attempt("read", lambda: list(open_release(root, "fuzz@1.0.0", "train")))
        outcomes.attempt("promote", lambda: promote(storage, "fuzz@1.0.0", "next"))
        outcomes.attempt("pack", lambda: pack_release(storage, "fuzz@1.0.0", out / "packed.tar"))
    arrived = outcomes.attempt("unpack", lambda: unpack_release(folder / INPUT / _PACK, out / "root"))
    if arrived is not None:
        name = f"{arrived.published.release.name}@{arrived.published.release.version}"
        whole = outcomes.attempt("verify again", lambda: verify_release(open_root(out / "root"), name, deep=True))
        with outcomes.noting_faults():
            if whole is None or whole.faults:
                raise Fault(f"unpack: it took over a damaged release\n{whole}")


KIND = Kind("releases", seeds, make, run)
