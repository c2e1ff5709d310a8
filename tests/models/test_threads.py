"""one_thread: what it sets, and that it leaves no trace."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from faceloom.models.threads import one_thread  # noqa: E402


@pytest.fixture(params=[1, 2, 3])
def before(request: pytest.FixtureRequest) -> int:
    given = torch.get_num_threads()
    torch.set_num_threads(request.param)
    request.addfinalizer(lambda: torch.set_num_threads(given))
    return int(request.param)


def test_one_inside_and_as_before_afterwards(before: int) -> None:
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_as_before_after_an_error_too(before: int) -> None:
    with pytest.raises(ValueError, match="inside"), one_thread():
        raise ValueError("inside")
    assert torch.get_num_threads() == before


def test_one_within_another(before: int) -> None:
    with one_thread():
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_sums_inside_do_not_depend_on_the_number_outside(before: int) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        picture, kernel = torch.rand(4, 8, 64, 64), torch.rand(8, 8, 3, 3)
    with one_thread():
        inside = torch.nn.functional.conv2d(picture, kernel)
    torch.set_num_threads(1)
    assert torch.equal(inside, torch.nn.functional.conv2d(picture, kernel))
