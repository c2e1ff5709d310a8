"""The process that Beam starts for each worker. It differs from Beam's own in that it says nothing and dies at once."""

from __future__ import annotations

import logging
import shlex
import signal
import sys


def worker_command() -> str:
    """The shell command that starts one worker."""
    return f"{shlex.quote(sys.executable)} -m faceloom.pipelines.beam_worker"


def quiet_beam() -> None:
    """Keep Beam from printing; to be called before Beam is imported.

    Beam warns through the root logger while it is imported, and that gives a root logger without handlers one that
    prints from then on. With a handler in place, errors still reach us: as exceptions.
    """
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.NullHandler())
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)


def main() -> None:
    """Serve the process that started this one until it hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches every worker too; it should end without a traceback
    quiet_beam()
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv)


if __name__ == "__main__":
    main()
