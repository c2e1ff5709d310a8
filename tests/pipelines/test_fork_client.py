"""What stands in for a worker while it is forked: it ends as the worker does, and starts one where nobody forks."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from faceloom.pipelines import fork_client
from faceloom.pipelines.fork_client import DONE, STARTED

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a fork server")

OTHERWISE = [sys.executable, "-c", "print('a worker of its own')"]


@pytest.fixture
def address() -> str:
    return f"faceloom-test-{secrets.token_hex(8)}"


def started(address: str, **more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-I", "-S", str(Path(fork_client.__file__)), address, *OTHERWISE]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env={**os.environ, **more})


def answered(address: str, *words: bytes, **more: str) -> tuple[tuple[int, str, str], bytes]:
    """How a client ends, and what it said, if its server says these words and hangs up."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{address}")
        listener.listen()
        client = started(address, **more)
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as stream:
            said = stream.read()
            for word in words:
                connection.sendall(word)
    out, err = client.communicate(timeout=30)
    return (client.returncode, out, err), said


def test_a_worker_that_ends_well(address: str) -> None:
    ended, said = answered(address, STARTED, DONE, CONTROL="here", ODD="a=b\nc \udcff")
    assert ended == (0, "", "")
    pairs = dict(pair.split(b"=", 1) for pair in said.split(b"\0"))
    assert pairs[b"CONTROL"] == b"here" and pairs[b"ODD"] == b"a=b\nc \xff"
    assert pairs[b"PATH"] == os.environb[b"PATH"]


def test_a_worker_that_dies(address: str) -> None:
    assert answered(address, STARTED)[0] == (1, "", "")


def test_a_server_that_dies_before_it_forks(address: str) -> None:
    assert answered(address)[0] == (0, "a worker of its own\n", "")


def test_no_server(address: str) -> None:
    client = started(address)
    assert client.communicate(timeout=30) == ("a worker of its own\n", "")
    assert client.returncode == 0


def test_ctrl_c_is_left_to_the_master(address: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{address}")
        listener.listen()
        client = started(address)
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as stream:
            stream.read()
            time.sleep(0.05)
            client.send_signal(signal.SIGINT)
            connection.sendall(STARTED + DONE)
            assert client.communicate(timeout=30) == ("", "")
    assert client.returncode == 0
