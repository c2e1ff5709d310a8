"""Caches that outlive a build."""

from functools import lru_cache

from faceloom.pipelines.run.lasting import is_lasting, lasting


def test_only_a_cache_that_is_marked_lasts() -> None:
    @lasting
    @lru_cache
    def marked() -> int:
        return 1

    @lru_cache
    def other() -> int:
        return 1

    assert is_lasting(marked) and not is_lasting(other)
    assert marked() == other() == 1
