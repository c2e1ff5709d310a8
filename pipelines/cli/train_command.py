"""The command `faceloom train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from faceloom.pipelines.cli.output import FAILED, REFUSED, Debug, Json, ending, error_console, show_blocks, write_json

if TYPE_CHECKING:
    from faceloom.pipelines.training.train import TrainingReport

Device = Annotated[str, typer.Option(help="cpu, cuda, or auto (CUDA if there is a usable GPU).")]

app = typer.Typer(help="Train a network on the pairs of a build.", no_args_is_help=True)


@app.callback()
def _train() -> None:
    pass


@app.command(
    epilog="Examples:\n\n"
    "faceloom train autoencoder --data out --preset compact --to runs/compact\n\n"
    "faceloom train autoencoder --data out --preset paper --to runs/paper\n\n"
    "faceloom train autoencoder --data more --from runs/compact --to runs/more\n\n"
    "The same command resumes a stopped run."
)
def autoencoder(
    data: Annotated[Path, typer.Option(metavar="OUT", exists=True, file_okay=False, help="Output folder of a build.")],
    to: Annotated[str, typer.Option("--to", metavar="RUN", help="Folder of the run; created if it does not exist.")],
    preset: Annotated[str, typer.Option(help="paper: the network of Lee 2022. compact: ours, small and sharp.")] = (
        "compact"
    ),
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the training pairs. Default: from the preset.")
    ] = None,
    device: Device = "auto",
    parent: Annotated[
        Path | None, typer.Option("--from", metavar="RUN", help="Start from the best weights of another run.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random draws.")] = 0,
    batch: Annotated[int | None, typer.Option(min=1, help="Batch size. Default: from the preset.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Learning rate of Adam. Default: from the preset.")
    ] = None,
    save_every: Annotated[
        int | None, typer.Option(min=1, help="Epochs between two checkpoints. Default: from the preset.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, help="Worker processes that read the pairs; 0 reads in this process.")
    ] = 0,
    resume: Annotated[bool, typer.Option(help="Resume a stopped run, or delete it and start over.")] = True,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Train a masking autoencoder: faces in, masked faces out."""
    with ending(REFUSED, as_json, debug):
        from faceloom.pipelines.training.request import TrainingRequest, change_preset, check_request

        chosen = change_preset(preset, epochs=epochs, batch=batch, learning_rate=learning_rate, save_every=save_every)
        request = TrainingRequest(str(data), to, chosen, seed, device, parent, workers, resume)
        checked = check_request(request)
    with ending(FAILED, as_json, debug):
        from faceloom.pipelines.cli.train_console import TrainingProgress
        from faceloom.pipelines.training.train import run_training

        with TrainingProgress(error_console(), chosen.epochs) as progress:
            report = run_training(checked, progress.start, progress.epoch)
        if as_json:
            run = {"resumed_after": report.resumed, "wall_seconds": round(report.seconds, 3)}
            write_json({"to": to, "run": run, **report.card.model_dump(mode="json")})
        else:
            show_blocks(_summary(report, to))


def _summary(report: TrainingReport, to: str) -> list[Any]:
    from faceloom.pipelines.cli.console import size_text, time_text
    from faceloom.pipelines.cli.summary import facts_table

    card, figures = report.card, report.card.metrics
    done = f"{card.epochs_done} epochs in {time_text(report.seconds)}"
    if report.resumed:
        done = f"{card.epochs_done} epochs, {report.resumed} of them before this run was resumed"
    facts = {
        "network": f"{card.preset}, {card.parameters:,} parameters, {size_text(card.files['best.safetensors'].bytes)}",
        "data": f"{card.data.name}, {card.data.train} pairs, {card.data.held_out} held out ({card.data.held_out_from})",
        "trained": f"{done}, {figures['seconds_per_epoch']:.2f} s each, on {card.device}",
        "best": f"epoch {figures['best_epoch']:.0f}, held-out loss {figures['best_held_out_loss']:.5f}",
        "licence": ", ".join(f"{text} ({count})" for text, count in card.data.licences.items()),
        "run": to,
    }
    return [facts_table("Trained", facts)]
