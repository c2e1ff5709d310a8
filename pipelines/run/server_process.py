"""Imported first by the server of worker processes, so that it never outlives the process that started it.

Without this a server whose parent is killed continues to import for seconds. The parent reports errors of the server
and of worker processes, which print none themselves.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys

PARENT = "FACELOOM_SERVER_PARENT"
"""Environment variable that holds the process id of the parent."""
_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)

if sys.platform == "linux":
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    if os.environ.get(PARENT, str(os.getppid())) != str(os.getppid()):  # it died before
        os._exit(1)

sys.excepthook = lambda *_: None
logging.getLogger("concurrent.futures").addHandler(logging.NullHandler())
