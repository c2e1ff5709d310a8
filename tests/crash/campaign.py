"""Disturb builds in many ways. The next run must give the bytes of a build that nothing disturbed.

Run as `make crash`, or `python -m tests.crash.campaign --count 20 --seed 7 --kinds EIO,clock`.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.crash.bench import Bench, digests
from tests.crash.disturbances import KINDS


def check(bench: Bench, kind: str, seed: str) -> tuple[str, list[str]]:
    """Disturb one build and run it again; returns what was done, and all faults."""
    chance = random.Random(seed)
    out = Path(tempfile.mkdtemp(dir=bench.folder)) / "out"
    what, faults = KINDS[kind](bench, out, chance)
    again = bench.run(out, workers=chance.choice([1, 2]))
    if again.code:
        faults.append(f"the next run fails with {again.code}: {again.err[-400:]}")
    else:
        found = digests(out)
        names = [name for name in {**bench.expected, **found} if bench.expected.get(name) != found.get(name)]
        if names:
            faults.append(f"other files: {', '.join(sorted(names)[:5])}")
    if not faults:
        shutil.rmtree(out.parent)
    return what, faults


def main() -> int:
    """Run a campaign and print a table; returns 1 if there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=108)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--kinds", default=",".join(KINDS))
    given = parser.parse_args()
    begin, kinds = time.monotonic(), given.kinds.split(",")
    done: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    print(f"seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        bench.prepare()
        for number in range(given.count):
            kind = kinds[number % len(kinds)]
            what, faults = check(bench, kind, f"{given.seed}-{number}")
            done[kind] += 1
            wrong[kind] += bool(faults)
            print(f"{number + 1}: {kind}, {what}: {'; '.join(faults) or 'same bytes'}", flush=True)
    print(f"\nseed {given.seed}, {time.monotonic() - begin:.0f} s\n{'kind':18}{'builds':>8}{'faults':>8}")
    for kind in kinds:
        print(f"{kind:18}{done[kind]:8}{wrong[kind]:8}")
    print(f"{'all':18}{done.total():8}{wrong.total():8}")
    return int(bool(wrong.total()))


if __name__ == "__main__":
    raise SystemExit(main())
