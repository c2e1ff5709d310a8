"""What Beam starts for each worker where there is a fork server: asks for a worker, and stays until it is done.

Run as a file by a bare interpreter, so that it starts in a hundredth of a second: it imports nothing of ours.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import NoReturn

STARTED, DONE = b"s", b"d"
"""What a worker says when it begins and when it ends well; one that dies says neither."""


def main(address: str, otherwise: list[str]) -> NoReturn:
    """Have a worker forked and end as it does.

    Args:
        address: of the fork server, a name in Linux's abstract namespace.
        otherwise: the command that takes this one's place if the server forks nothing.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the master to tell
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(f"\0{address}")
            server.sendall(b"\0".join(name + b"=" + value for name, value in os.environb.items()))
            server.shutdown(socket.SHUT_WR)
            if server.recv(1) == STARTED:
                sys.exit(0 if server.recv(1) == DONE else 1)
    except OSError:
        pass
    os.execv(otherwise[0], otherwise)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
