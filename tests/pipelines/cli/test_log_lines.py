"""Log records of the package are lines on stderr; those of other packages are not."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from faceloom.pipelines.cli.log_lines import _LOGGER, show_log


@pytest.fixture
def shown() -> Iterator[None]:
    before = list(_LOGGER.handlers)
    show_log()
    show_log()
    yield
    _LOGGER.handlers[:] = before


@pytest.mark.usefixtures("shown")
def test_warnings_of_the_package_are_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("faceloom.pipelines.store.repeats").warning("Waiting: %s", "no answer")
    logging.getLogger("faceloom").info("detail")
    logging.getLogger("other").warning("theirs")
    assert capsys.readouterr().err == "Warning: Waiting: no answer\n"
