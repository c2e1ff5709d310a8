"""`python -m faceloom`: the command line."""

from __future__ import annotations

from faceloom.pipelines.cli.app import main

if __name__ == "__main__":
    main()
