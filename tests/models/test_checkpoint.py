"""Folders of trained networks: whole or not there, shared by processes, refused with a reason when they are wrong."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from faceloom.models.checkpoint import (  # noqa: E402
    BEST,
    CARD,
    LAST,
    MOST_CARD,
    check_weights,
    load_network,
    read_card,
    write_card,
    write_file,
    write_weights,
)
from faceloom.models.networks import make_network  # noqa: E402
from faceloom.models.presets import PRESETS, preset_values  # noqa: E402
from faceloom.models.weights_file import read_weights  # noqa: E402
from faceloom.schemas.errors import CheckpointError  # noqa: E402


@pytest.fixture
def run(tmp_path: Path, tiny: SimpleNamespace) -> Path:
    path: Path = tiny.make_run(tmp_path / "run")
    return path


def test_weights_and_their_note_come_back(tmp_path: Path) -> None:
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(3, dtype=torch.int64)}
    card = write_weights(tmp_path / "deep" / "w.safetensors", tensors, {"epoch": 3, "losses": [1.5]})
    back, note = read_weights(tmp_path / "deep" / "w.safetensors")
    assert note == {"epoch": 3, "losses": [1.5]}
    assert set(back) == {"a", "b"} and all(torch.equal(back[name], tensors[name]) for name in tensors)
    assert card.bytes == (tmp_path / "deep" / "w.safetensors").stat().st_size and len(card.sha256) == 64


def test_others_may_read_what_was_written(run: Path) -> None:
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in run.iterdir())


def test_the_same_weights_are_the_same_bytes(tmp_path: Path) -> None:
    tensors = {name: torch.full((4,), float(number)) for number, name in enumerate("dacb")}
    first = write_weights(tmp_path / "1", tensors, {"x": 1, "y": 2})
    second = write_weights(tmp_path / "2", dict(reversed(tensors.items())), {"y": 2, "x": 1})
    assert first == second


def test_weights_in_another_memory_order_are_stored_as_they_read(tmp_path: Path) -> None:
    tensor = torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    write_weights(tmp_path / "w", {"a": tensor})
    assert torch.equal(read_weights(tmp_path / "w")[0]["a"], tensor)


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail(file: Path) -> None:
        file.write_text("half of the n")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(CheckpointError, match=r"file: cannot be written \(got No space left"):
        write_file(path, fail)
    assert path.read_text() == "old" and [file.name for file in tmp_path.iterdir()] == ["file"]


def test_the_card_comes_back(run: Path, tiny: SimpleNamespace) -> None:
    card = read_card(run)
    assert card.preset == "tiny-compact" and set(card.files) == {BEST, LAST}
    write_card(run, card.model_copy(update={"seed": 7}))
    assert read_card(run).seed == 7


def test_a_network_comes_back_ready_to_predict(run: Path) -> None:
    network, card = load_network(run)
    assert card == read_card(run)
    assert not network.training and not any(parameter.requires_grad for parameter in network.parameters())
    stored, _ = read_weights(run / BEST)
    assert all(torch.equal(tensor, stored[name]) for name, tensor in network.state_dict().items())


def test_loaded_weights_lie_in_the_file(tmp_path: Path, tiny: SimpleNamespace) -> None:
    """Pages of a map of the file are shared by all processes; a copy would be each one's own."""
    preset = PRESETS["tiny-paper"]
    network, _ = load_network(tiny.make_run(tmp_path / "run", preset))
    weights = next(tensor for name, tensor in network.state_dict().items() if name == "encode.5.weight")
    address = weights.data_ptr()
    spans = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith(f"run/{BEST}")]
    limits = [tuple(int(end, 16) for end in words[0].split("-")) for words in spans]
    assert any(low <= address < high for low, high in limits)


def test_no_folder_and_no_card(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere: the folder does not exist. Train it with"):
        read_card(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"has no card.json, so it is no checkpoint"):
        read_card(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="the folder does not exist"):
        read_card(tmp_path / "file")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"model": "bert"}', "not a card of faceloom"),
        ("[1]", "not a card of faceloom"),
        ("{", "the card.json is damaged: not JSON"),
        ('{"what": "a masking network of faceloom", "format": 99}', r"another version of faceloom \(got 99\)"),
        ('{"what": "a masking network of faceloom", "format": 1}', r"card.json: \$.preset: missing"),
        ("\udcff", "damaged: byte 0 is not UTF-8"),
        ("[" * 100_000, "damaged: it nests"),
        ('{"what": 1, "what": 2}', "given twice"),
        (" " * (MOST_CARD + 1), "at most 4,194,304 are read"),
    ],
)
def test_a_foreign_or_damaged_card_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / CARD).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CheckpointError, match=said):
        load_network(tmp_path)


def spoil(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_a_changed_bit_is_found_by_the_digest(run: Path) -> None:
    spoil(run / BEST, -1)
    with pytest.raises(CheckpointError, match="its sha256 differs"):
        load_network(run)
    load_network(run, digest=False)  # only the length is looked at
    load_network(run, name=LAST)


@pytest.mark.parametrize(("finished", "remedy"), [(True, "with --no-resume"), (False, "to resume it")])
def test_the_remedy_is_not_to_delete_a_run_that_goes_on(run: Path, finished: bool, remedy: str) -> None:
    card = read_card(run).model_copy(update={"finished": finished})
    (run / BEST).write_bytes((run / LAST).read_bytes() + b"newer than the card")
    with pytest.raises(CheckpointError, match=remedy):
        check_weights(run, card)


def test_a_short_or_missing_file_is_found_without_the_digest(run: Path) -> None:
    data = (run / BEST).read_bytes()
    (run / BEST).write_bytes(data[:-9])
    with pytest.raises(CheckpointError, match=rf"got {len(data) - 9} bytes instead of {len(data)}"):
        load_network(run, digest=False)
    (run / BEST).unlink()
    with pytest.raises(CheckpointError, match=r"has no best.safetensors"):
        check_weights(run, read_card(run))


def test_a_file_that_is_no_safetensors_is_refused(run: Path) -> None:
    for data in (b"", b"not weights", b"\xff" * 64):
        (run / BEST).write_bytes(data)
        with pytest.raises(CheckpointError, match="the weights cannot be read"):
            read_weights(run / BEST)
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_weights(run / "missing.safetensors")


def test_weights_of_another_network_are_refused(run: Path) -> None:
    card = read_card(run)
    others: tuple[dict[str, Any], ...] = (
        make_network(PRESETS["tiny-paper"]).state_dict(),
        {name: tensor[:1] for name, tensor in read_weights(run / BEST)[0].items() if tensor.ndim},
    )
    for tensors in others:
        files = {**card.files, BEST: write_weights(run / BEST, tensors)}
        write_card(run, card.model_copy(update={"files": files}))
        with pytest.raises(CheckpointError, match="do not fit the network"):
            load_network(run)


def test_a_card_of_another_preset_than_its_weights_is_refused(run: Path) -> None:
    card = read_card(run)
    write_card(
        run, card.model_copy(update={"preset": "tiny-paper", "hyper_parameters": preset_values(PRESETS["tiny-paper"])})
    )
    with pytest.raises(CheckpointError, match="do not fit the network"):
        load_network(run)
    write_card(run, card.model_copy(update={"hyper_parameters": {"layers": 3}}))
    with pytest.raises(CheckpointError, match="fit no network"):
        load_network(run)


def test_reading_a_card_does_not_wait_for_torch(run: Path) -> None:
    code = (
        f"import sys, pathlib; from faceloom.models.checkpoint import read_card; read_card(pathlib.Path({str(run)!r}))"
    )
    code += "; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "False"


def test_the_card_is_plain_json_for_people(run: Path) -> None:
    plain = json.loads((run / CARD).read_text())
    assert plain["what"] == "a masking network of faceloom" and plain["data"]["licences"] == {"CC0": 8}


def swapped(run: Path, path: str, value: object) -> None:
    """Put a value into the card of a run."""
    plain = json.loads((run / CARD).read_text())
    place = plain
    *steps, last = path.split("/")
    for step in steps:
        place = place[step]
    place[last] = value
    (run / CARD).write_text(json.dumps(plain))


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("size", [0, -1, 10**9, 999, "16", True, None, 16.0]),
        ("preset", ["tiny-paper", 3, None, "x" * 2000]),
        ("parameters", [-1, "x", None]),
        ("epochs_done", [-1, 1.5, "1", 10**400]),
        ("finished", [1, "yes", None]),
        ("seed", ["0", None]),
        ("metrics", [[], {"best_epoch": "1"}, {"best_epoch": -1}, {"best_epoch": 99}, {"best_epoch": 1e308}]),
        ("chosen", ["mine", None]),
        ("torch", [2, None]),
        ("data", [None, [], {}]),
        ("data/align", [None, {"mode": "x"}, {"size": 10**9}, {"size": "16"}, {"margin": -1}, {"more": 1}, []]),
        ("data/align/mode", ["faceloom-error:abc", 1, None, ["arcface"]]),
        ("data/digest", ["", "../..", "0" * 63, "G" * 64, 5]),
        ("data/train", [-1, "7", 1.5]),
        ("data/masks", [None, {"a": -1}, {"a": "1"}, []]),
        ("hyper_parameters", [None, {}, [], {"layers": 3}]),
        ("hyper_parameters/size", [0, 17, 64, 10**9, -16, "16"]),
        ("hyper_parameters/widths", [[], [0], [-6], [10**9], ["6"], [6] * 99, 6, [[6]], [True]]),
        ("hyper_parameters/looks", [0, -1, 10**12, "5"]),
        ("hyper_parameters/edge", [-1, 1e300, "2"]),
        ("hyper_parameters/batch", [0, -4, None]),
        ("hyper_parameters/learning_rate", [0, -1, "x"]),
        ("hyper_parameters/schedule", ["square", None]),
        ("files", [None, {}, [], {"../best.safetensors": {"bytes": 8, "sha256": "0" * 64}}]),
        (f"files/{BEST}", [None, {}, {"bytes": 1}, {"sha256": "0" * 64}]),
        (f"files/{BEST}/bytes", [0, -1, 2**70, "9", 1.5]),
        (f"files/{BEST}/sha256", ["", "x" * 64, "A" * 64, 0, None]),
        ("files/..", [{"bytes": 8, "sha256": "0" * 64}]),
        ("parent", [1, {}, {"folder": "a", "weights": "b", "data": {}}, {"parent": {"parent": {}}}]),
        ("unknown", [1]),
        ("format", [2, "1", None]),
    ],
)
def test_every_field_of_a_card_is_checked_and_named(run: Path, path: str, values: list[object]) -> None:
    text = (run / CARD).read_text()
    for value in values:
        swapped(run, path, value)
        with pytest.raises(CheckpointError) as caught:
            read_card(run)
        said = str(caught.value)
        assert said.isprintable() and len(said) < 1200 and str(run) in said and "http" not in said, value
        (run / CARD).write_text(text)


def test_a_pipe_or_a_device_is_no_card(run: Path) -> None:
    (run / CARD).unlink()
    os.mkfifo(run / CARD)
    with pytest.raises(CheckpointError, match="not a file"):
        read_card(run)
    (run / CARD).unlink()
    (run / CARD).symlink_to("/dev/zero")
    with pytest.raises(CheckpointError, match="not a file"):
        read_card(run)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda name, tensor: tensor.double() if tensor.is_floating_point() else tensor, "float64 .* instead of float"),
        (lambda name, tensor: tensor * float("nan") if tensor.is_floating_point() else tensor, "not a finite number"),
        (lambda name, tensor: tensor * float("inf") if name == "fit.bias" else tensor, "do not fit|not a finite"),
        (lambda name, tensor: tensor + float("inf") if name == "fit.bias" else tensor, "not a finite number .got fit"),
        (lambda name, tensor: tensor[None], r"instead of"),
        (lambda name, tensor: tensor.float(), "float32 .* instead of "),
    ],
)
def test_weights_of_other_types_shapes_or_no_numbers_are_refused(
    run: Path, change: Callable[[str, Any], Any], said: str
) -> None:
    card = read_card(run)
    tensors = {name: change(name, tensor.clone()) for name, tensor in read_weights(run / BEST)[0].items()}
    files = {**card.files, BEST: write_weights(run / BEST, tensors)}
    write_card(run, card.model_copy(update={"files": files}))
    with pytest.raises(CheckpointError, match=said):
        load_network(run)


def test_a_file_that_is_longer_than_its_network_is_not_read(run: Path) -> None:
    card = read_card(run)
    with (run / BEST).open("r+b") as stream:
        stream.truncate(2**39)
    wrong = card.files[BEST].model_copy(update={"bytes": 2**39})
    with pytest.raises(CheckpointError, match=r"longer than the weights of its network.*again"):
        check_weights(run, card.model_copy(update={"files": {BEST: wrong}}))
