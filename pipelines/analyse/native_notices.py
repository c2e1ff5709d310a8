"""What native libraries print while they load."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator

_ONE = threading.Lock()


@contextlib.contextmanager
def without_notices() -> Iterator[None]:
    """Drop lines that start with `INFO:` and that the block writes to file descriptor 2; pass on all others at its end.

    TensorFlow Lite prints such a line for each interpreter, and has no setting against it.
    """
    with _ONE, contextlib.ExitStack() as stack:
        try:
            caught = stack.enter_context(tempfile.TemporaryFile())
            real = os.dup(2)
        except OSError:  # a full disk or a closed descriptor: a line too many harms less
            yield
            return
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(real, 2)
            os.close(real)
            caught.seek(0)
            with contextlib.suppress(OSError):  # the reader of stderr went away
                for line in caught:
                    if not line.startswith(b"INFO:"):
                        os.write(2, line)
