from __future__ import annotations

from pathlib import Path

import pytest
import typer

from faceloom.pipelines.cli.existing_folder import (
    existing_folder,
    existing_folders,
    named_folder,
    named_folder_if_given,
)


def test_a_folder_must_exist_and_a_url_is_looked_at_later(tmp_path: Path) -> None:
    assert existing_folder(tmp_path) == tmp_path
    assert existing_folder(Path("s3://bucket/out")) == Path("s3://bucket/out")
    for missing in (tmp_path / "nothing", tmp_path / ("long" * 100)):
        with pytest.raises(typer.BadParameter, match="does not exist"):
            existing_folder(missing)


def test_several_folders_or_none(tmp_path: Path) -> None:
    assert existing_folders(None) is None and existing_folders([]) == []
    assert existing_folders([tmp_path, tmp_path]) == [tmp_path, tmp_path]
    with pytest.raises(typer.BadParameter, match="nothing"):
        existing_folders([tmp_path, tmp_path / "nothing"])


@pytest.mark.parametrize("url", ["s3://", "s3:/", "gs:"])
def test_a_url_without_a_bucket_is_called_so(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scheme = url.partition(":")[0]
    with pytest.raises(typer.BadParameter, match=f"^'{scheme}://' names no bucket. Give {scheme}://BUCKET/FOLDER.$"):
        existing_folder(Path(url))
    with pytest.raises(typer.BadParameter, match="names no bucket"):
        named_folder(Path(url))
    assert named_folder(tmp_path / "new") == tmp_path / "new" and named_folder(Path("s3://b")) == Path("s3://b")
    monkeypatch.chdir(tmp_path)
    Path(f"{scheme}:").mkdir()
    assert existing_folder(Path(url)) == Path(url), "a folder may have this name"


def test_an_option_that_may_be_left_out() -> None:
    assert named_folder_if_given(None) is None and named_folder_if_given(Path("releases")) == Path("releases")
    with pytest.raises(typer.BadParameter, match="names no bucket"):
        named_folder_if_given(Path("s3://"))
