"""The card of a release for machines: Croissant 1.1, JSON-LD by MLCommons.

https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html
"""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from typing import Any

from faceloom.pipelines.cards.terms import CARE, LIMITS, NOT_STATED, USES
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.schemas.release import Release

TO_ROOT = "../../.."
"""From `releases/NAME/VERSION/` to the folder that holds `shards/` and `index/`."""
_CONFORMS = "http://mlcommons.org/croissant/1.1"
_COLUMNS = (
    ("key", "Key of the sample; its members in the shard are named KEY.MEMBER"),
    ("identity", "Person in the photo, as the source names them"),
    ("people", "Everyone whose face is in the pictures of the sample"),
    ("split", "Split of the sample"),
    ("mask", "Label of the mask; empty without one"),
    ("source", "Name of the source"),
    ("uri", "Path of the photo in its source"),
    ("photo_sha256", "sha256 of the photo"),
    ("licence", "Licence, as the source states it"),
    ("consent", "Consent, as the source states it"),
)
"""Columns of an index that a record has: each costs mlcroissant some milliseconds per shard."""
_PICTURES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
"""Members that are pictures, by file ending."""
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context that the specification gives, key by key; mlcroissant warns of another."""


def croissant_json(release: Release) -> bytes:
    """Return the Croissant card of a release, the same bytes for the same release.

    It lists each tar file and each index with length and sha256. The record set `index-SHARD` holds the rows of one
    index, and the record set of a member, such as `face`, its content and key for all samples: mlcroissant reads tables
    one by one, and joins no more than two. Paths are relative to `releases/NAME/VERSION/`, where the card lies.
    """
    tars = [_file(shard_tar(shard.name), "application/x-tar", shard.bytes, shard.sha256) for shard in release.shards]
    indexes = [
        _file(shard_index(shard.name), "application/x-parquet", shard.index_bytes, shard.index_sha256)
        for shard in release.shards
    ]
    sets: list[dict[str, Any]] = []
    records = [_index_records(shard.name, shard.split) for shard in release.shards]
    for member in release.members if tars else ():
        kind, _, ending = member.rpartition(".")
        encoding = _PICTURES.get(ending, "application/json" if member == "json" else "application/octet-stream")
        sets.append(_file_set(f"files-{member}", f"*.{member}", encoding, tars))
        if ending in _PICTURES:
            records.append(_member_records(kind, member, "sc:ImageObject"))
        elif member == "json":
            records.append(_member_records("json", member, "sc:Text"))
    card = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": _CONFORMS,
        "name": release.name,
        "description": release.description or f"{release.written:,} samples of faces, made by faceloom.",
        "version": release.version,
        "license": _licences(release),
        "keywords": ["faces", "masked faces", "WebDataset"],
        "rai:personalSensitiveInformation": CARE,
        "rai:dataLimitations": LIMITS,
        "rai:dataUseCases": USES,
        "distribution": [*tars, *indexes, *sets],
        "recordSet": records,
    }
    return (json.dumps(card, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def _licences(release: Release) -> list[str]:
    stated = {licence for source in release.sources for licence in source.licences}
    return sorted(licence or NOT_STATED for licence in stated) or [NOT_STATED]


def _file(path: str, encoding: str, size: int, sha256: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": PurePosixPath(path).name,
        "contentUrl": f"{TO_ROOT}/{path}",
        "contentSize": f"{size} B",
        "encodingFormat": encoding,
        "sha256": sha256,
    }


def _file_set(name: str, pattern: str, encoding: str, files: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": name,
        "name": name,
        "containedIn": [{"@id": file["@id"]} for file in files],
        "encodingFormat": encoding,
        "includes": pattern,
    }


def _index_records(shard: str, split: str) -> dict[str, Any]:
    file, name = {"@id": shard_index(shard)}, f"index-{shard}"
    fields = [
        _field(f"{name}/{column}", text, "sc:Text", {"fileObject": file, "extract": {"column": column}})
        for column, text in _COLUMNS
    ]
    fields[[column for column, _ in _COLUMNS].index("people")] |= {"isArray": True, "arrayShape": "-1"}
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"A row per sample of the shard {shard}, of the split {split}.",
        "key": {"@id": f"{name}/key"},
        "field": fields,
    }


def _member_records(kind: str, member: str, data_type: str) -> dict[str, Any]:
    files = {"@id": f"files-{member}"}
    ending = re.escape(member)
    key = {
        "fileSet": files,
        "extract": {"fileProperty": "filename"},
        "transform": {"regex": rf"^([a-z0-9_-]+)\.{ending}$"},
    }
    content = {"fileSet": files, "extract": {"fileProperty": "content"}}
    return {
        "@type": "cr:RecordSet",
        "@id": kind,
        "name": kind,
        "description": f"The member {member} of each sample.",
        "key": {"@id": f"{kind}/key"},
        "field": [
            _field(f"{kind}/key", "Key of the sample, as in the index", "sc:Text", key),
            _field(f"{kind}/{kind}", f"Content of {member}", data_type, content),
        ],
    }


def _field(name: str, text: str, kind: str, source: dict[str, Any]) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": name,
        "name": name,
        "description": text,
        "dataType": kind,
        "source": source,
    }
