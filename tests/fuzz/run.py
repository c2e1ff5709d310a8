"""The long fuzz run: `python -m tests.fuzz.run`, or `make fuzz`.

Each kind of input runs in a process of its own, so that a crash ends one input and not the run. Every random input is
made from the run's seed, the kind and a number, so the same seed repeats the run. Inputs that show a fault are saved;
`--replay FOLDER` runs one again.
"""

from __future__ import annotations

import argparse
import json
import secrets
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.base import Case, Kind, read_case, run_case, warm_up, without_beam, write_case
from tests.fuzz.kinds import KINDS
from tests.fuzz.rules import ROOT

REPORT = ROOT / "build" / "fuzz"
COUNT, MINUTES, WORKERS = 1_000, 55.0, 2
"""Random inputs of each kind beside those made by hand, time for all, and processes side by side."""
_SILENT_SECONDS = 120
"""A process that reports nothing for so long hangs in native code, where no alarm is heard."""
_SAVED = 2
"""Inputs that are saved for each fault."""


def all_inputs(kind: Kind, seed: int, count: int) -> Iterator[tuple[str, Case]]:
    """Names and inputs of a run: those made by hand, then random ones."""
    yield from kind.seeds().items()
    for number in range(count):
        yield str(number), kind.make(Random(f"{seed} {kind.name} {number}"))


def run_child(kind: Kind, seed: int, count: int, start: int, folder: Path) -> None:
    """Run the inputs of a kind from a place on; print a line of JSON before and after each."""
    warm_up()
    with without_beam():
        for place, (name, case) in enumerate(all_inputs(kind, seed, count)):
            if place < start:
                continue
            _say(begin=name, place=place)
            saved = save_input(folder, kind.name, name, case)  # before it runs, in case that it ends the process
            outcomes = run_case(kind, case)
            if not outcomes.faults:
                delete_input(saved)
            faults = [str(fault) for fault in outcomes.faults]
            _say(end=name, seen=outcomes.seen, faults=faults, seconds=outcomes.seconds, bytes=outcomes.bytes)
    _say(done=True)


def _say(**facts: Any) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def save_input(folder: Path, kind: str, name: str, case: Case) -> Path:
    """Write the files of an input, and return its folder."""
    saved = save_path(folder, kind, name)
    delete_input(saved)
    write_case(case, saved)
    return saved


def save_path(folder: Path, kind: str, name: str) -> Path:
    """Folder of a saved input."""
    return folder / "inputs" / kind / "".join(c if c.isalnum() or c in "-." else "_" for c in name)


def delete_input(saved: Path) -> None:
    """Delete the files of an input."""
    for path in sorted(saved.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    if saved.is_dir():
        saved.rmdir()


@dataclass
class Report:
    """What came of the inputs of a kind.

    Attributes:
        kind, seed: name of the kind, and seed of the run.
        wanted, inputs: number of inputs to run, and of those that ran.
        accepted: inputs without any error or reject.
        outcomes: inputs by what came of a step, such as `build: ok` or `reject scan: bad_name`.
        faults: by the first line of each: number of inputs, an example of the rest, and the inputs that are saved.
        slowest, largest: most seconds and bytes of a step, with the input's name.
        seconds: of the run.
    """

    kind: str
    seed: int
    wanted: int
    inputs: int = 0
    accepted: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: dict[str, dict[str, Any]] = field(default_factory=dict)
    slowest: tuple[float, str] = (0.0, "")
    largest: tuple[int, str] = (0, "")
    seconds: float = 0.0

    def add(self, facts: dict[str, Any]) -> None:
        """Note the line that a process printed after an input."""
        name, seen = facts["end"], facts["seen"]
        self.inputs += 1
        self.accepted += not facts["faults"] and all(step.endswith(": ok") for step in seen)
        self.outcomes.update(set(seen))
        self.slowest = max(self.slowest, (round(facts["seconds"], 2), name))
        self.largest = max(self.largest, (facts["bytes"], name))
        for fault in facts["faults"]:
            self.add_fault(name, fault)

    def add_fault(self, name: str, fault: str) -> None:
        """Note a fault of an input."""
        first, _, rest = fault.partition("\n")
        known = self.faults.setdefault(first, {"inputs": 0, "example": rest[:1000], "names": []})
        known["inputs"] += 1
        if len(known["names"]) < _SAVED and name not in known["names"]:
            known["names"].append(name)

    def saved(self) -> set[str]:
        """Names of the inputs to keep."""
        return {name for fault in self.faults.values() for name in fault["names"]}

    def as_json(self) -> str:
        """The report as it is written down."""
        plain = {**self.__dict__, "outcomes": dict(self.outcomes.most_common())}
        return json.dumps(plain, indent=1, ensure_ascii=False) + "\n"


def run_kind(kind: Kind, seed: int, count: int, deadline: float, folder: Path) -> Report:
    """Run all inputs of a kind in a process, in a new one after each crash, and write the report."""
    made_by_hand = list(kind.seeds())
    report = Report(kind.name, seed, len(made_by_hand) + count)
    begin, start = time.monotonic(), 0
    while start < report.wanted and time.monotonic() < deadline:
        start = _run_process(report, start, deadline, folder)
    report.seconds = round(time.monotonic() - begin, 1)
    kept = {save_path(folder, kind.name, name) for name in report.saved()}
    for saved in (folder / "inputs" / kind.name).glob("*"):
        if saved not in kept:
            delete_input(saved)
    (folder / f"{kind.name}.json").write_text(report.as_json(), encoding="utf-8")
    return report


def _run_process(report: Report, start: int, deadline: float, folder: Path) -> int:
    """Run inputs from a place on; returns the place to go on from."""
    seeds = len(KINDS[report.kind].seeds())
    numbers = {"seed": report.seed, "count": report.wanted - seeds, "child": start}
    words = [f"--{name}={value}" for name, value in numbers.items()]
    command = [sys.executable, "-m", "tests.fuzz.run", report.kind, f"--report={folder}", *words]
    errors = (folder / f"{report.kind}.stderr").open("ab")
    current, place = "", start
    with errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT) as process:
        assert process.stdout
        timer = _Silence(process, deadline)
        for line in process.stdout:
            timer.heard()
            facts = json.loads(line)
            if "begin" in facts:
                current, place = facts["begin"], facts["place"]
            elif "end" in facts:
                report.add(facts)
                current, place = "", place + 1
        timer.stop()
    if process.returncode > 0:  # an error of Python; native code ends a process by a signal
        raise RuntimeError(f"the suite itself failed at {report.kind} {current}; see {errors.name}")
    if current and not timer.late:
        report.inputs += 1
        report.add_fault(current, "the process hung" if timer.hung else f"the process ended with {process.returncode}")
    return report.wanted if timer.late else place + bool(current)


class _Silence:
    """Kills a process that reports nothing for long, or when the time of the run is up."""

    def __init__(self, process: subprocess.Popen[str], deadline: float) -> None:
        self.hung = self.late = False
        self._process, self._deadline, self._last = process, deadline, time.monotonic()
        self._over = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def heard(self) -> None:
        """The process has reported."""
        self._last = time.monotonic()

    def stop(self) -> None:
        """Watch no longer."""
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(1):
            now = time.monotonic()
            self.late, self.hung = now > self._deadline, now - self._last > _SILENT_SECONDS
            if self.late or self.hung:
                self._process.kill()
                return


def replay(saved: Path) -> int:
    """Run a saved input once and print what comes of it; the number of faults."""
    warm_up()
    kind = KINDS[saved.resolve().parent.name]
    with without_beam():
        outcomes = run_case(kind, read_case(saved))
    sys.stdout.write("\n".join([*outcomes.seen, *(f"FAULT {fault}" for fault in outcomes.faults)]) + "\n")
    sys.stdout.write(f"{outcomes.seconds:.2f} s, {outcomes.bytes >> 20} MiB\n")
    return len(outcomes.faults)


def main(arguments: list[str] | None = None) -> int:
    """Run the kinds side by side and print a line for each; 1 if there was a fault or the time was too short."""
    words = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description=__doc__)
    words.add_argument("kinds", nargs="*", choices=[*KINDS, []], help="default: all")
    words.add_argument("--count", type=int, default=COUNT, help="random inputs of each kind")
    words.add_argument("--seed", type=int, default=None, help="default: a new one, which is printed")
    words.add_argument("--minutes", type=float, default=MINUTES, help="longest time of the whole run")
    words.add_argument("--workers", type=int, default=WORKERS, help="processes side by side")
    words.add_argument("--report", type=Path, default=REPORT, help="folder of reports and saved inputs")
    words.add_argument("--replay", type=Path, help="run one saved input again")
    words.add_argument("--child", type=int, default=None, help=argparse.SUPPRESS)
    given = words.parse_args(arguments)
    if given.replay:
        return min(1, replay(given.replay))
    if given.child is not None:
        run_child(KINDS[given.kinds[0]], given.seed, given.count, given.child, given.report)
        return 0
    seed = secrets.randbelow(2**32) if given.seed is None else given.seed
    given.report.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + 60 * given.minutes
    sys.stdout.write(f"seed {seed}; reports in {given.report}\n")
    sys.stdout.flush()

    def one(name: str) -> Report:
        report = run_kind(KINDS[name], seed, given.count, deadline, given.report)
        sys.stdout.write(summary(report))
        sys.stdout.flush()
        return report

    with ThreadPoolExecutor(given.workers) as pool:
        reports = list(pool.map(one, given.kinds or KINDS))
    return int(any(report.faults or report.inputs < report.wanted for report in reports))


def summary(report: Report) -> str:
    """A line about a kind, and one for each fault."""
    seconds, name = report.slowest
    text = f"{report.kind}: {report.inputs:,} of {report.wanted:,} inputs in {report.seconds:,.0f} s, "
    text += f"{report.accepted:,} accepted, {len(report.faults)} faults; slowest {seconds:.1f} s ({name}), "
    text += f"largest {report.largest[0] >> 20:,} MiB ({report.largest[1]})\n"
    for first, fault in report.faults.items():
        text += f"  {first} ({fault['inputs']} inputs, such as {fault['names'][0]})\n"
    return text


if __name__ == "__main__":
    sys.exit(main())
