"""Standard streams that are closed, full, slow or left by their reader, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

PRINT = """
import sys
from faceloom.pipelines.cli.streams import guard_streams, output_fault
guard_streams()
with open({file!r}, "w") as file:
    for _ in range(300):
        print("out" * 100)
        print("err" * 100, file=sys.stderr)
    fault = output_fault()
    print(file.fileno(), sys.stdin.read(), "fault:", fault and fault.strerror, file=file)
"""
CLOSED = ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "<&- 2>&-"]


def printed(streams: str, tmp_path: Path) -> str:
    """What a process writes to its first file while it prints to such streams."""
    file = tmp_path / "file"
    code = PRINT.format(file=str(file))
    command = ["bash", "-c", f'"$@" {streams}', "bash", sys.executable, "-c", code]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not done.stderr.replace("err", "").strip()
    return file.read_text().strip()


@pytest.mark.parametrize("streams", CLOSED)
def test_no_file_takes_the_place_of_a_closed_stream(streams: str, tmp_path: Path) -> None:
    number, *rest = printed(streams, tmp_path).split()
    assert int(number) > 2 and rest == ["fault:", "None"]


@pytest.mark.parametrize("streams", ["| head -c 1", "2>&1 | head -c 1", "2> >(head -c 1 >/dev/null)"])
def test_a_reader_that_goes_away_is_no_fault(streams: str, tmp_path: Path) -> None:
    assert printed(f"{streams}; sleep 0.5", tmp_path).endswith("fault: None")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk without room")
def test_a_full_disk_is_a_fault_of_stdout_only(tmp_path: Path) -> None:
    assert printed(">/dev/full", tmp_path).endswith("fault: No space left on device")
    assert printed("2>/dev/full", tmp_path).endswith("fault: None")
    assert printed("1</dev/null", tmp_path).endswith("fault: Bad file descriptor")


def test_a_slow_reader_of_a_pipe_that_does_not_block_gets_everything(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    code = PRINT.format(file=str(tmp_path / "file"))
    with subprocess.Popen([sys.executable, "-c", code], stdout=writer, stderr=subprocess.DEVNULL) as process:
        os.close(writer)
        time.sleep(0.5)  # the pipe fills
        with os.fdopen(reader, "rb") as stream:
            assert stream.read() == (b"out" * 100 + b"\n") * 300
        assert process.wait(timeout=30) == 0
    assert (tmp_path / "file").read_text().strip().endswith("fault: None")


def test_a_terminal_that_hangs_up_is_no_fault(tmp_path: Path) -> None:
    terminal, other = os.openpty()
    code = "import time; time.sleep(0.5)" + PRINT.format(file=str(tmp_path / "file"))
    command = [sys.executable, "-c", code]  # without the signal of a hang-up, as under nohup
    streams = {"stdin": subprocess.DEVNULL, "stdout": other, "stderr": other}
    with subprocess.Popen(command, **streams) as process:  # type: ignore[call-overload]
        os.close(other)
        os.close(terminal)
        assert process.wait(timeout=30) == 0
    assert (tmp_path / "file").read_text().strip().endswith("fault: None")


def test_characters_that_the_encoding_does_not_have_are_escaped() -> None:
    code = "from faceloom.pipelines.cli.streams import guard_streams; guard_streams(); print('é ✓ \\udce4')"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)
    assert (done.returncode, done.stdout) == (0, "\\xe9 \\u2713 \\udce4\n")
