"""A perceptual loss: zero for equal pictures, gradients for the picture alone, unusable files refused."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from faceloom.models.editor.perceptual import Perceptual  # noqa: E402
from faceloom.schemas.errors import TrainingError  # noqa: E402


class Means(torch.nn.Module):  # type: ignore[misc,name-defined,unused-ignore]
    """Weighted means of the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))

    def forward(self, picture: Any) -> Any:
        return picture.mean((2, 3)) * self.weight


class Pair(torch.nn.Module):  # type: ignore[misc,name-defined,unused-ignore]
    """Gives two tensors."""

    def forward(self, picture: Any) -> Any:
        return picture, picture


class Detached(torch.nn.Module):  # type: ignore[misc,name-defined,unused-ignore]
    """Gives features from which nothing can be learned."""

    def forward(self, picture: Any) -> Any:
        return picture.detach().mean((2, 3))


def saved(network: Any, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.trace(network, torch.zeros(2, 3, 8, 8)).save(str(path))
    return path


def test_features_are_compared_and_only_the_picture_learns(tmp_path: Path) -> None:
    perceptual = Perceptual(saved(Means(), tmp_path / "f.pt"), 8)
    face = torch.zeros(2, 3, 8, 8)
    made = torch.full((2, 3, 8, 8), 0.5, requires_grad=True)
    assert perceptual.loss(face, face) == 0
    loss = perceptual.loss(made, face)
    assert loss.item() == pytest.approx((0.5 + 1.0 + 1.5) / 3)
    loss.backward()  # type: ignore[no-untyped-call]
    assert made.grad is not None and (made.grad > 0).all()
    assert all(one.grad is None for one in perceptual._network.parameters())


def test_files_that_are_no_features_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(b"x")
    for path in (tmp_path / "x.pt", tmp_path / "missing.pt", saved(Pair(), tmp_path / "pair.pt")):
        with pytest.raises(TrainingError, match=f"{path}: the features cannot be used.*Give a TorchScript file"):
            Perceptual(path, 8)


class Reshaped(torch.nn.Module):  # type: ignore[misc,name-defined,unused-ignore]
    """Fits one size of pictures only, as a network with a fully connected layer does."""

    def forward(self, picture: Any) -> Any:
        return picture.reshape(2, 192)


def test_the_message_states_the_cause_alone(tmp_path: Path) -> None:
    """PyTorch puts pages of its code before the cause of a failure, and guesses after that of a damaged file."""
    (tmp_path / "x.pt").write_bytes(b"x")
    with pytest.raises(TrainingError, match=r"\(got PytorchStreamReader failed[^.]*archive[^.]*\)\. Give a"):
        Perceptual(tmp_path / "x.pt", 8)
    with pytest.raises(TrainingError, match=r"\(got RuntimeError: shape '\[2, 192\]' is invalid"):
        Perceptual(saved(Reshaped(), tmp_path / "f.pt"), 16)


def test_features_without_a_gradient_are_refused(tmp_path: Path) -> None:
    """A loss of them would be a constant, and change nothing."""
    with pytest.raises(TrainingError, match="got no gradient"):
        Perceptual(saved(Detached(), tmp_path / "f.pt"), 8)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("opened"))
    with pytest.raises(TrainingError, match="a pipe, socket or device"):
        Perceptual(tmp_path / "pipe", 8)
