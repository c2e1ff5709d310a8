"""A temporary folder of this process for copies of objects. Those that killed processes left are deleted."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from functools import lru_cache
from multiprocessing import util
from pathlib import Path

PREFIX = "faceloom-copies-"
_LOCK = ".lock"


@lru_cache(maxsize=1)
def copies_folder() -> Path:
    """The folder of this process. It is made at the first call, and deleted when the process ends.

    Its lock is held until then, whatever ends the process, so that others know whether it is in use.
    """
    _delete_left()
    made = Path(tempfile.mkdtemp(prefix="faceloom-new-"))
    _lock(made)
    folder = made.rename(made.with_name(made.name.replace("faceloom-new-", PREFIX)))  # no other has seen it unlocked
    # `atexit` does not run in worker processes.
    util.Finalize(None, shutil.rmtree, (str(folder),), {"ignore_errors": True}, exitpriority=0)
    return folder


def _delete_left() -> None:
    """Delete folders of this user that are not locked."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            status = folder.lstat()
            if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():
                lock = _lock(folder)
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def _lock(folder: Path) -> int:
    """Lock a folder; returns a descriptor. The lock ends when it is closed, in the last process that has it.

    Raises:
        OSError: another process holds it, or it cannot be locked.
    """
    import fcntl

    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
