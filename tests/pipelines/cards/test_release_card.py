"""README.md of a release."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceloom.pipelines.cards.release_card import card_markdown
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError
from faceloom.schemas.release import GateResult, ModelUse, Release
from tests.pipelines.cards.laid_release import make_release


@pytest.fixture(scope="module")
def release(masked_build: Path) -> Release:
    return make_release(masked_build)


@pytest.fixture(scope="module")
def storage(masked_build: Path) -> Storage:
    return Storage(str(masked_build))


def test_states_counts_of_the_release(storage: Storage, release: Release) -> None:
    text = card_markdown(storage, release)
    assert "# masked-faces 1.0.0\n\nFaces, with and without masks.\n" in text
    assert "18 samples of 12 people, from 18 files of 1 source." in text
    assert "| photos.csv | 18 | 12 | 18 |" in text or "| photos | 18 | 12 | 18 |" in text


def test_states_code_models_parent_gates_and_erasure(storage: Storage, release: Release) -> None:
    changes = {
        "code": release.code.model_copy(update={"commit": "abc123", "dirty": True}),
        "models": (ModelUse(role="mask", name="unet", sha256="1" * 64, licence="research only"),),
        "parent": f"masked-faces/0.9.0+{'2' * 64}",
        "gates": (GateResult(gate="identities", passed=True, found="12 people, each in one split"),),
        "erased": 3,
    }
    text = card_markdown(storage, release.model_copy(update=changes))
    assert "commit abc123 with changes" in text
    assert f"mask model unet, sha256 {'1' * 64}: research only" in text
    assert f"It follows masked-faces/0.9.0+{'2' * 64}." in text
    assert "| identities | 12 people, each in one split |" in text
    assert "Erased since the build: 3 samples of people who withdrew." in text


def test_paths_of_shards_are_those_of_the_top_of_a_repository(storage: Storage, release: Release) -> None:
    text = card_markdown(storage, release)
    assert all(f'- "shards/{shard.name}.tar"' in text for shard in release.shards)


def test_a_release_without_sources_is_refused(storage: Storage, release: Release) -> None:
    with pytest.raises(FaceloomError, match=r"masked-faces@1\.0\.0: a section of the data card is empty .got Sources"):
        card_markdown(storage, release.model_copy(update={"sources": ()}))
