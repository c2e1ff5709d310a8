"""A command line that kills itself with SIGKILL, for tests: run it as a script, and write requests to its stdin.

A request is one line, a JSON list of the folder of releases, a number, and the words of a command. The command runs in
a forked process, so that imports take time once. It counts what it does to files below the folder: to open, create,
rename, link or delete one. Before the call of this number it kills itself. One line of stdout answers: the number of
calls that it made, which a killed one does not state, and its exit code.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

CALLS = {"open", "os.mkdir", "os.rename", "os.link", "os.remove", "os.rmdir"}


def run(root: str, at: int, words: list[str]) -> tuple[int, int]:
    """Run a command in this process; die before the call number `at`. Returns number of calls and exit code."""
    from faceloom.pipelines.cli.app import app

    count = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event in CALLS and any(isinstance(one, str | os.PathLike) and root in str(one) for one in arguments):
            count += 1
            if count == at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    code = app(args=words, standalone_mode=False)
    return count, int(code or 0)


def main() -> None:
    """Answer requests until stdin ends."""
    # What commands import is imported once here, not again in each forked process.
    import filelock  # noqa: F401
    import imagehash  # noqa: F401
    import jinja2  # noqa: F401
    import mlcroissant  # noqa: F401
    import PIL.Image  # noqa: F401
    import rfc8785  # noqa: F401
    import scipy.fftpack  # noqa: F401

    from faceloom.pipelines.cards import croissant, release_card  # noqa: F401
    from faceloom.pipelines.cli import change_summary  # noqa: F401
    from faceloom.pipelines.gallery import write_gallery  # noqa: F401
    from faceloom.pipelines.release import create, erase, gates, purge  # noqa: F401

    for line in sys.stdin:
        root, at, words = json.loads(line)
        child = os.fork()
        if child == 0:
            answers, code = os.dup(1), 70
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            try:
                calls, code = run(root, at, words)
                os.write(answers, b"%d " % calls)
            except SystemExit as end:
                code = int(end.code or 0)
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
