"""The command `faceloom train`: one command for each training job."""

# Annotations are objects here, not texts: those of a command refer to its job.
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from faceloom.models.preset import options_of
from faceloom.models.presets import JOBS, default_preset, presets_of
from faceloom.pipelines.cli.output import (
    FAILED,
    REFUSED,
    Debug,
    Json,
    ending,
    error_console,
    say,
    show_blocks,
    write_json,
)
from faceloom.schemas.counted import counted

if TYPE_CHECKING:
    from faceloom.pipelines.training.train import TrainingReport

Device = Annotated[str, typer.Option(help="cpu, cuda, or auto (CUDA if there is a usable GPU).")]

app = typer.Typer(help="Train a network on the samples of a build.", no_args_is_help=True)


@app.callback()
def _train() -> None:
    pass


def _command(job: str) -> Callable[..., None]:
    """The command of a job: the options that all jobs have, then those of its presets and its files."""
    spec, usual = JOBS[job], presets_of(job)[default_preset(job)]
    fields = options_of(type(usual))

    def train(
        data: Annotated[
            Path, typer.Option(metavar="OUT", exists=True, file_okay=False, help="Output folder of a build.")
        ],
        to: Annotated[
            str, typer.Option("--to", metavar="RUN", help="Folder of the run; created if it does not exist.")
        ],
        preset: Annotated[str, typer.Option(help=spec.preset_help)] = default_preset(job),
        epochs: Annotated[
            int | None, typer.Option(min=1, help="Passes over the training samples. Default: from the preset.")
        ] = None,
        device: Device = "auto",
        parent: Annotated[
            Path | None, typer.Option("--from", metavar="RUN", help="Start from the best weights of another run.")
        ] = None,
        seed: Annotated[int, typer.Option(min=0, help="Seed of all random draws.")] = 0,
        batch: Annotated[int | None, typer.Option(min=1, help="Batch size. Default: from the preset.")] = None,
        learning_rate: Annotated[
            float | None, typer.Option(help="Learning rate of the optimisers. Default: from the preset.")
        ] = None,
        save_every: Annotated[
            int | None, typer.Option(min=1, help="Epochs between two checkpoints. Default: from the preset.")
        ] = None,
        workers: Annotated[
            int, typer.Option(min=0, help="Worker processes that read the samples; 0 reads in this process.")
        ] = 0,
        resume: Annotated[bool, typer.Option(help="Resume a stopped run, or delete it and start over.")] = True,
        tensorboard: Annotated[
            bool, typer.Option("--tensorboard", help="Also write the losses for TensorBoard, into RUN/tensorboard.")
        ] = False,
        as_json: Json = False,
        debug: Debug = False,
        **own: Any,
    ) -> None:
        with ending(REFUSED, as_json, debug, resumes=resume):
            from faceloom.pipelines.training.request import TrainingRequest, change_preset, check_request

            chosen = change_preset(
                preset,
                job,
                epochs=epochs,
                batch=batch,
                learning_rate=learning_rate,
                save_every=save_every,
                **{name: own[name] for name in fields},
            )
            files = {name: own[name] for name in spec.files if own[name] is not None}
            request = TrainingRequest(
                str(data), to, chosen, seed, device, parent, workers, resume, job, files, tensorboard
            )
            checked = check_request(request)
        with ending(FAILED, as_json, debug, resumes=resume):
            from faceloom.pipelines.cli.train_console import TrainingProgress
            from faceloom.pipelines.training.train import run_training

            with TrainingProgress(error_console(), checked.request.preset.epochs) as progress:
                report = run_training(checked, progress.start, progress.epoch)
            if as_json:
                run = {"resumed_after": report.resumed, "wall_seconds": round(report.seconds, 3)}
                write_json({"to": to, "run": run, **report.card.model_dump(mode="json")})
            else:
                show_blocks(_summary(report, to))
                if report.resumed == report.card.epochs_done:
                    say("The run was finished already; nothing was trained.")
                    say(f"To train further: --from {to} --to NEW. To start over: --no-resume")

    own = [_option(name, type(getattr(usual, name)) | None, typer.Option(help=text)) for name, text in fields.items()]
    own += [
        _option(name, Path | None, typer.Option(metavar="PATH", exists=True, help=text))
        for name, text in spec.files.items()
    ]
    shared = list(inspect.signature(train).parameters.values())
    train.__signature__ = inspect.Signature([*shared[:-1], *own])  # type: ignore[attr-defined]
    train.__annotations__ = {parameter.name: parameter.annotation for parameter in [*shared[:-1], *own]}
    train.__doc__ = spec.help
    return train


def _option(name: str, kind: Any, option: Any) -> inspect.Parameter:
    kind = Annotated[kind, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)


for _job, _spec in JOBS.items():
    _lines = ("Examples:", *_spec.examples, "The same command resumes a stopped run.")
    app.command(_job, epilog="\n\n".join(_lines))(_command(_job))


def _summary(report: "TrainingReport", to: str) -> list[Any]:
    from faceloom.pipelines.cli.console import size_text, time_text
    from faceloom.pipelines.cli.summary import facts_table

    card, figures = report.card, report.card.metrics
    done = f"{counted(card.epochs_done, 'epoch')} in {time_text(report.seconds)}"
    if report.resumed:
        done = f"{counted(card.epochs_done, 'epoch')}, {report.resumed} of them before this run was resumed"
    held_out = f"{card.data.held_out} held out ({card.data.held_out_from})"
    facts = {
        "network": f"{card.preset}, {card.parameters:,} parameters, {size_text(card.files['best.safetensors'].bytes)}",
        "data": f"{card.data.name}, {counted(card.data.train, 'sample')}, {held_out}",
        "trained": f"{done}, {figures['seconds_per_epoch']:.2f} s each, on {card.device}",
        "best": f"epoch {figures['best_epoch']:.0f}, held-out loss {figures['best_held_out_loss']:.5f}",
        "licence": ", ".join(f"{text} ({count})" for text, count in card.data.licences.items()),
        "run": to,
    }
    return [facts_table("Trained", facts)]
