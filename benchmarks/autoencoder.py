"""Cost of the masking networks: loading, memory, masking 50 faces, faces per second, and an epoch of training.

    python benchmarks/autoencoder.py [--presets compact paper] [--devices cpu cuda] [--threads 2] [--rounds 20]
        [--pairs 204] [--epochs 3]

Weights and pairs are synthetic, because training does not change the speed of a network. Each preset is measured on
each device in its own process. The default devices are the CPU, and CUDA if available. `paper` needs 1.2 GB in the
temporary folder and some 7 GB of memory for training; --epochs 0 skips training.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

FACES, LIMIT = 50, 0.16
"""Lee 2022 masks so many faces of 64x64 in so many seconds, on an RTX 3080."""
LIMIT_TRAINING = 18
"""Seconds in which it trains for 160 epochs on 204 pairs there."""
BATCHES = (1, 50, 256)


def write_run(folder: Path, preset: Any) -> None:
    """A checkpoint of an untrained network."""
    import torch

    from faceloom.models.checkpoint import BEST, write_card, write_weights
    from faceloom.models.networks import make_network, parameter_count
    from faceloom.models.presets import preset_values
    from faceloom.schemas.model_card import DataCard, ModelCard
    from faceloom.schemas.recipe import Align

    network: Any = make_network(preset)
    if hasattr(network, "looks"):
        network.looks.copy_(torch.randint(256, network.looks.shape))
    folder.mkdir()
    files = {BEST: write_weights(folder / BEST, network.state_dict())}
    data = DataCard(
        name="made-up", digest="0" * 64, plan="0" * 64, align=Align(size=preset.size), masks={}, licences={},
        consents={}, train=0, held_out=0, held_out_from="",
    )  # fmt: skip
    card = ModelCard(
        preset=preset.name, size=preset.size, parameters=parameter_count(network), unstated_in_paper=preset.unstated,
        hyper_parameters=preset_values(preset), seed=0, epochs_done=0, finished=False, metrics={}, device="", code="",
        precision="", torch=torch.__version__, data=data, files=files,
    )  # fmt: skip
    write_card(folder, card)


def memory() -> tuple[float, float]:
    """Megabytes that this process holds, and those of them that it cannot share with others."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    kilobytes = {name: int(rest.split()[0]) for name, rest in (line.split(":", 1) for line in lines)}
    return kilobytes["Rss"] / 1000, kilobytes["Anonymous"] / 1000


def seconds_of(do: Callable[[], object], rounds: int) -> float:
    """Median time of a call after two that warm up. Results of networks come as arrays, so a GPU is waited for."""
    seconds = []
    for _ in range(rounds + 2):
        begin = time.perf_counter()
        do()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds[2:])


def measure_masking(folder: Path, preset: Any, device: str, rounds: int) -> dict[str, Any]:
    """Load a checkpoint, time it and look at the memory."""
    import cv2  # noqa: F401, so that its memory is not counted as the network's
    import torch

    from faceloom.models.predict import MaskPredictor

    if device == "cuda":
        torch.zeros(1, device=device)  # starting CUDA is no part of loading
    before = memory()
    begin = time.perf_counter()
    predictor = MaskPredictor.load(folder, device=device, digest=False)
    loaded = time.perf_counter() - begin
    faces = np.random.default_rng(0).integers(0, 256, (max(BATCHES), preset.size, preset.size, 3), np.uint8)
    seeds = list(range(max(BATCHES)))
    begin = time.perf_counter()
    predictor.predict(faces[:FACES], seeds[:FACES])
    first = time.perf_counter() - begin
    after = memory()
    begin = time.perf_counter()
    MaskPredictor.load(folder, device=device)
    checked = time.perf_counter() - begin
    rates = {}
    for batch in BATCHES:
        batched = MaskPredictor.load(folder, device=device, batch=batch, digest=False)
        slow = max(2, rounds // 4) if batch > FACES else rounds
        rates[batch] = batch / seconds_of(partial(batched.predict, faces[:batch], seeds[:batch]), slow)
    return {
        "parameters": predictor.card.parameters,
        "megabytes": sum(file.bytes for file in predictor.card.files.values()) / 1e6,
        "load": loaded,
        "load_checked": checked,
        "first": first,
        "memory": after[0] - before[0],
        "memory_own": after[1] - before[1],
        "fifty": seconds_of(lambda: predictor.predict(faces[:FACES], seeds[:FACES]), rounds),
        "rates": rates,
    }


def measure_training(preset: Any, device: str, pairs: int, epochs: int) -> float:
    """Median time of an epoch after a first one, in seconds: steps, held-out pairs, and keeping the best weights."""
    import torch

    from faceloom.models.job import Batch, make_job
    from faceloom.models.training import train

    chance = torch.Generator().manual_seed(0)
    side = preset.size

    def made_up(count: int) -> Batch:
        face = torch.rand(count, 3, side, side, generator=chance)
        mask = torch.zeros(count, 1, side, side)
        mask[:, :, side // 2 :, side // 4 : -side // 4] = 1
        masked = torch.lerp(face, torch.rand(count, 3, 1, 1, generator=chance).expand_as(face), mask)
        return {"face": face.to(device), "masked": masked.to(device), "mask": mask.to(device)}

    trained, held_out = made_up(pairs), made_up(max(1, pairs // 10))

    def batches(_: int, of: Batch = trained) -> Iterator[Batch]:
        for at in range(0, len(of["face"]), preset.batch):
            yield {name: values[at : at + preset.batch] for name, values in of.items()}

    job = make_job("autoencoder", replace(preset, epochs=epochs + 1))
    done = train(job, batches, lambda: batches(0, held_out), device=device)
    return statistics.median(loss.seconds for loss in done.losses[1:])


def measure(asked: argparse.Namespace) -> None:
    """Measure one preset on one device and print JSON."""
    import cv2
    import torch

    from faceloom.models.presets import PRESETS

    torch.set_num_threads(asked.threads)
    cv2.setNumThreads(1)
    (name,), (device,) = asked.presets, asked.devices
    preset = PRESETS[name]
    found = measure_masking(Path(asked.run), preset, device, asked.rounds)
    if asked.epochs:
        found["epoch"] = measure_training(preset, device, asked.pairs, asked.epochs)
    sys.stdout.write(json.dumps(found))


def describe(asked: argparse.Namespace) -> str:
    """The machine behind the figures."""
    import torch

    cuda = [torch.cuda.get_device_name()] if "cuda" in asked.devices else []
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    parts = [f"{cpu}, {asked.threads} threads", *cuda, f"torch {torch.__version__}", f"load {os.getloadavg()[0]:.1f}"]
    return "; ".join(parts)


def print_tables(found: dict[tuple[str, str], dict[str, Any]], asked: argparse.Namespace) -> None:
    """Print what was found as tables to paste."""
    print(f"\n| network | device | {FACES} faces, s | {' | '.join(f'faces/s, batch {batch}' for batch in BATCHES)} |")
    print("|---" * (3 + len(BATCHES)) + "|")
    for (name, device), one in found.items():
        rates = " | ".join(f"{rate:,.0f}" for rate in one["rates"].values())
        print(f"| `{name}` | {device} | {one['fifty']:.3f} | {rates} |")
    print("\n| network | device | parameters | file, MB | load, s | checked, s | first 50, s | memory, MB | own, MB |")
    print("|---" * 9 + "|")
    for (name, device), one in found.items():
        times = " | ".join(f"{one[key]:.2f}" for key in ("load", "load_checked", "first"))
        sizes = f"{one['parameters']:,} | {one['megabytes']:,.1f}"
        print(f"| `{name}` | {device} | {sizes} | {times} | {one['memory']:,.0f} | {one['memory_own']:,.0f} |")
    if asked.epochs:
        print(f"\n| network | device | epoch of {asked.pairs} pairs, s | 160 epochs, s |")
        print("|---|---|---|---|")
        for (name, device), one in found.items():
            print(f"| `{name}` | {device} | {one['epoch']:.3f} | {160 * one['epoch']:,.0f} |")
    print(f"\nLee 2022, RTX 3080: {FACES} faces in {LIMIT} s, 160 epochs in {LIMIT_TRAINING} s")


def main() -> None:
    """Measure what was asked, each preset on each device in a process of its own."""
    import torch

    from faceloom.models.presets import PRESETS

    parser = argparse.ArgumentParser()
    parser.add_argument("--presets", nargs="+", default=["compact", "paper"], choices=sorted(PRESETS))
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    parser.add_argument("--devices", nargs="+", default=devices, choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=204)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--run", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.run:
        return measure(asked)
    print(describe(asked))
    found = {}
    for name in asked.presets:
        with tempfile.TemporaryDirectory() as folder:
            write_run(run := Path(folder, name), PRESETS[name])
            for device in asked.devices:
                options = ("threads", "rounds", "pairs", "epochs")
                words = [word for option in options for word in (f"--{option}", str(getattr(asked, option)))]
                command = [sys.executable, __file__, *words, "--presets", name, "--devices", device, "--run", str(run)]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                found[name, device] = json.loads(done.stdout)
    return print_tables(found, asked)


if __name__ == "__main__":
    main()
