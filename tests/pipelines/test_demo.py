"""The demo's photos: the same every time, good ones and bad ones, and only where they belong."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from faceloom.pipelines import demo
from faceloom.schemas.errors import FaceloomError
from faceloom.schemas.keys import generator

pytest.importorskip("matplotlib")
pytest.importorskip("skimage")


@pytest.fixture(scope="module")
def photos() -> dict[str, bytes]:
    return demo.demo_photos()


def open_picture(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_two_people_have_twenty_views_each(photos: dict[str, bytes]) -> None:
    for name in ("Grace_Hopper", "Eileen_Collins"):
        views = {path: data for path, data in photos.items() if path.startswith(f"{name}/view_")}
        assert len(views) == demo.VIEWS
        assert len(set(views.values())) == demo.VIEWS
        assert {open_picture(data).size for data in views.values()} == {(demo.SIDE, demo.SIDE)}


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(photos: dict[str, bytes]) -> None:
    path = "Grace_Hopper/view_07.jpg"
    assert demo.demo_photos()[path] == photos[path]
    assert demo.demo_photos(seed=1)[path] != photos[path]


@pytest.mark.parametrize("name", ["Grace_Hopper", "Eileen_Collins"])
def test_a_view_keeps_the_eyes_near_its_middle(name: str) -> None:
    # Two dots where the eyes are; a black portrait otherwise.
    width, height = demo.load_portraits()[name].size
    portrait = np.zeros((height, width, 3), np.uint8)
    for x, y in demo._EYES[name]:
        portrait[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4] = 255
    for number in range(20):
        view = np.asarray(demo.draw_view(Image.fromarray(portrait), name, np.random.default_rng(number)))
        rows, columns = np.nonzero(view[..., 0] > 100)
        assert abs(columns.mean() / demo.SIDE - 0.5) < 0.06
        assert abs(rows.mean() / demo.SIDE - 0.4) < 0.06
        left = np.array([columns[columns < columns.mean()].mean(), rows[columns < columns.mean()].mean()])
        right = np.array([columns[columns > columns.mean()].mean(), rows[columns > columns.mean()].mean()])
        assert 0.13 < np.linalg.norm(right - left) / demo.SIDE < 0.20
        assert abs(np.degrees(np.arctan2(*(right - left)[::-1]))) < 18


def test_views_differ_in_brightness() -> None:
    portrait = Image.new("RGB", (512, 600), (120, 120, 120))
    levels = [
        float(np.median(np.asarray(demo.draw_view(portrait, "Grace_Hopper", generator(0, str(n), "demo")))))
        for n in range(20)
    ]
    assert np.ptp(levels) > 30


def test_every_kind_of_odd_file_is_what_it_says(photos: dict[str, bytes]) -> None:
    assert open_picture(photos["Grace_Hopper/png_in_truth.jpg"]).format == "PNG"
    assert open_picture(photos["Eileen_Collins/grey.jpg"]).mode == "L"
    assert photos["Grace_Hopper/copy_of_view_03.jpg"] == photos["Grace_Hopper/view_03.jpg"]
    assert photos["Eileen_Collins/empty.jpg"] == b""
    with pytest.raises(OSError, match="truncated"):
        open_picture(photos["Grace_Hopper/truncated.jpg"]).load()


def test_the_turned_photo_stands_upright_once_its_exif_is_heeded(photos: dict[str, bytes]) -> None:
    turned = open_picture(photos["Grace_Hopper/turned_by_exif.jpg"])
    assert turned.getexif()[0x0112] == 6
    upright = np.asarray(ImageOps.exif_transpose(turned), np.float64)
    view = np.asarray(open_picture(photos["Grace_Hopper/view_00.jpg"]).rotate(-4), np.float64)
    assert np.abs(upright - view).mean() < 8
    assert np.abs(np.asarray(turned, np.float64) - view).mean() > 30


def test_photos_are_written_and_old_ones_replaced(tmp_path: Path, photos: dict[str, bytes]) -> None:
    folder = tmp_path / "photos"
    assert demo.write_photos(folder) == len(photos)
    (folder / "Grace_Hopper" / "view_00.jpg").write_bytes(b"old")
    (folder / "Grace_Hopper" / "view_01.jpg").unlink()
    demo.write_photos(folder)
    found = {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    assert found == photos


@pytest.mark.parametrize("name", ["holiday.jpg", "Grace_Hopper/holiday.jpg"])
def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path, name: str) -> None:
    precious = tmp_path / name
    precious.parent.mkdir(exist_ok=True)
    precious.write_bytes(b"mine")
    with pytest.raises(FaceloomError, match=r"not from the demo.*holiday"):
        demo.write_photos(tmp_path)
    assert precious.read_bytes() == b"mine"


def test_a_file_in_place_of_the_folder_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "photos").write_bytes(b"mine")
    with pytest.raises(FaceloomError, match="a file exists where a folder is needed"):
        demo.write_photos(tmp_path / "photos")


def test_the_command_needs_one_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main([]) == 2
    assert "usage" in capsys.readouterr().err
    assert demo.main([str(tmp_path / "photos")]) == 0
    assert "49 files" in capsys.readouterr().out
