"""The command line `onegauge`: from a folder of images to a model, and from that to decisions.

A package is imported inside its subcommand only, so that the gateway runs where torch is not
installed and `--help` is instant.
"""

import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

DetectorName = Literal["patchcore", "revdist", "recontrast", "uniad", "dinomaly"]
Alignment = Literal["cada", "cada-scalar", "cada-paper", "class-aware", "none"]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder written by onegauge train")]
Data = Annotated[Path, typer.Option(help="Folder of images, nested or flat")]
Include = Annotated[
    list[str] | None, typer.Option(help="Glob below --data, taken whatever names say; repeatable")
]
Exclude = Annotated[
    list[str] | None, typer.Option(help="Glob below --data, left out in any case; repeatable")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what is taken from --data")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda")]
BackboneName = Annotated[str, typer.Option(help="starter, or a model of timm")]
BackboneWeights = Annotated[Path | None, typer.Option(help="A safetensors file")]
ImageSize = Annotated[int, typer.Option(help="Side in pixels")]
Promise = Annotated[float, typer.Option(help="False-alarm rate promised at score 1.0")]
AnotherPromise = Annotated[float | None, typer.Option(help="Instead of the run's")]
Repository = Annotated[Path, typer.Option(help="Triton model repository")]
ModelName = Annotated[str, typer.Option(help="Name of the model in it")]
TritonBackend = Literal["onnxruntime", "python", "tensorrt"]
Precision = Literal["fp32", "fp16", "int8"]
GroupBy = Annotated[
    str | None, typer.Option(help="Expression whose groups tell the part in a path, or: folder")
]
Epochs = Annotated[int | None, typer.Option(help="Of detectors trained by gradient")]


PACKAGES = ("service", "training", "export")
ON_WINDOWS = ("inspect", "watch", "key")  # the commands that run there


class AnomaliesFound(Exception):
    """`inspect` found something; its exit status tells so."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a subcommand; exit status 1 on error, 130 on Ctrl-C, 2 when `inspect` finds anomalies."""
    if isinstance(sys.stdout, TextIOWrapper):  # a log of Windows cannot hold the name of every file
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app(arguments)
    except AnomaliesFound:
        sys.exit(2)
    except SystemExit as end:
        # typer ends a misuse with 2, which would read as "anomalous"
        sys.exit(1 if end.code == 2 else end.code)
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] in PACKAGES:
            raise
        extras = "cpu" if "serve" in (arguments or sys.argv) else "cpu,train"
        hint = f"{exc.name} is not installed: pip install 'onegauge[{extras}]'"
        typer.echo(f"onegauge: {hint}", err=True)
        sys.exit(1)
    except (*_our_errors(), OSError) as exc:
        typer.echo(f"onegauge: {exc}", err=True)
        sys.exit(1)


def _our_errors() -> tuple[type[Exception], ...]:
    """What the packages raise for the user to read; imported only when something was raised."""
    from export.errors import ExportError
    from service.client import ClientError
    from service.errors import Problem
    from service.keys import KeyFileError
    from training.errors import TrainingError

    return ClientError, ExportError, KeyFileError, Problem, TrainingError


@app.callback()
def refuse_windows(context: typer.Context) -> None:
    """From a folder of images to a model, and from that to decisions."""
    command = context.invoked_subcommand
    if sys.platform == "win32" and command not in ON_WINDOWS:
        typer.echo(
            f"onegauge: {command} needs Linux or macOS: on Windows run it in WSL or a container; "
            f"{', '.join(ON_WINDOWS)} run on Windows itself",
            err=True,
        )
        raise typer.Exit(1)


@app.command()
def train(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the run")],
    detector: Annotated[DetectorName, typer.Option()] = "patchcore",
    backbone: BackboneName = "starter",
    backbone_weights: BackboneWeights = None,
    stages: Annotated[
        str | None, typer.Option(help="Such as 1,2,3; of a transformer its blocks from 0")
    ] = None,
    recentred: Annotated[
        bool, typer.Option("--recentred", help="Class token off every patch of a transformer")
    ] = False,
    image_size: ImageSize = 256,
    tile: Annotated[
        int | None, typer.Option(help="Side in pixels of tiles at the original resolution")
    ] = None,
    overlap: Annotated[int, typer.Option(help="Pixels that neighbouring tiles share")] = 0,
    mask: Annotated[
        Path | None, typer.Option(help="A picture, white where to inspect; all images are alike")
    ] = None,
    alignment: Annotated[Alignment, typer.Option(help="How products share one threshold")] = "cada",
    score_share: Annotated[
        float, typer.Option(help="Of the map's pixels that make the image score; 0: the highest")
    ] = 0.02,
    false_alarm_rate: Promise = 0.01,
    novelty_rate: Annotated[float, typer.Option(help="Of normal images called unknown")] = 0.001,
    calibration_fraction: Annotated[float, typer.Option(help="Share held out")] = 0.2,
    group_by: GroupBy = None,
    epochs: Epochs = None,
    bank_size: Annotated[int, typer.Option(help="Patches in PatchCore's memory")] = 10_000,
    references: Annotated[
        int, typer.Option(help="Images kept at most for others to be compared with")
    ] = 4_000,
    batch_size: Annotated[int, typer.Option()] = 16,
    include: Include = None,
    exclude: Exclude = None,
    dry_run: DryRun = False,
    allow_unreadable: Annotated[bool, typer.Option("--allow-unreadable")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run stopped")] = False,
    device: Device = "auto",
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Learn what normal images look like; product names are never needed."""
    from training.config import TrainConfig

    config = TrainConfig(
        data=data,
        out=out,
        detector=detector,
        backbone=backbone,
        backbone_weights=backbone_weights,
        stages=_numbers("--stages", stages) if stages else None,
        recentred=recentred,
        image_size=image_size,
        tile=tile,
        overlap=overlap,
        mask=mask,
        alignment=alignment,
        score_share=score_share,
        false_alarm_rate=false_alarm_rate,
        novelty_rate=novelty_rate,
        calibration_fraction=calibration_fraction,
        group_by=group_by,
        epochs=epochs,
        bank_size=bank_size,
        references=references,
        batch_size=batch_size,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        allow_unreadable=allow_unreadable,
        resume=resume,
        device=device,
        seed=seed,
    )
    if dry_run:
        from training.dataset import training_selection

        training_selection(data, config.choice).show()
        return
    from training.train import train as run_training

    run_training(config)


def _numbers(option: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError as exc:
        raise typer.BadParameter(f"{option} are numbers such as 1,2,3, not {text!r}") from exc


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


@app.command()
def evaluate(
    targets: Annotated[
        list[str], typer.Argument(metavar="TARGETS...", help="Runs, published models, gateways")
    ],
    data: Data,
    alignments: Annotated[
        str | None, typer.Option(help="Of runs, to compare; by default none and the run's own")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="File for the figures")] = None,
    include: Include = None,
    exclude: Exclude = None,
    dry_run: DryRun = False,
    false_alarm_rate: AnotherPromise = None,
    device: Device = "auto",
) -> None:
    """Measure on labelled images: pooled, per product, by pixel, and at the one threshold."""
    from training.choice import Choice

    choice = Choice(tuple(include or ()), tuple(exclude or ()))
    if dry_run:
        from training.dataset import labelled_selection

        labelled_selection(data, choice)[0].show()
        return
    from training.evaluation.evaluate import evaluate as run_evaluation

    names = _names(alignments) if alignments else None
    run_evaluation(targets, data, names, json, device, false_alarm_rate, choice)


@app.command()
def report(
    target: Annotated[str, typer.Argument(metavar="RUN", help="A run, or a published model")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for report.html, plots and tables")],
    include: Include = None,
    exclude: Exclude = None,
    false_alarm_rate: AnotherPromise = None,
    device: Device = "auto",
) -> None:
    """Show how a run decides on labelled images: a page to look at, and to send."""
    from training.choice import Choice
    from training.report.report import report as write

    choice = Choice(tuple(include or ()), tuple(exclude or ()))
    typer.echo(f"wrote {write(target, data, out, device, false_alarm_rate, choice)}")


@app.command()
def benchmark(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the results and the runs")],
    detectors: Annotated[str, typer.Option(help="Such as patchcore,revdist")] = "patchcore",
    alignments: Annotated[
        str, typer.Option(help="Such as none,class-aware,cada; recentred of transformers")
    ] = "none,class-aware,cada",
    seeds: Annotated[str, typer.Option(help="Such as 0,1,2")] = "0",
    backbone: BackboneName = "starter",
    backbone_weights: BackboneWeights = None,
    image_size: ImageSize = 256,
    false_alarm_rate: Promise = 0.05,
    group_by: GroupBy = None,
    epochs: Epochs = None,
    include: Include = None,
    exclude: Exclude = None,
    device: Device = "auto",
) -> None:
    """Train and evaluate every detector with every alignment; goes on where it stopped."""
    from training.benchmark.benchmark import Grid
    from training.benchmark.benchmark import benchmark as run_benchmark
    from training.config import TrainConfig

    config = TrainConfig(
        data=data,
        out=out,
        backbone=backbone,
        backbone_weights=backbone_weights,
        image_size=image_size,
        false_alarm_rate=false_alarm_rate,
        group_by=group_by,
        epochs=epochs,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        resume=True,
        device=device,
    )
    chosen = _names(detectors), _names(alignments), _numbers("--seeds", seeds)
    run_benchmark(Grid(config, *chosen))


@app.command()
def export(
    run: Run,
    repository: Repository,
    name: ModelName,
    triton_backend: Annotated[TritonBackend, typer.Option()] = "onnxruntime",
    precision: Annotated[Precision, typer.Option(help="Of the networks in the graph")] = "fp32",
    tensorrt: Annotated[bool, typer.Option("--tensorrt", help="Inside onnxruntime")] = False,
    images: Annotated[Path | None, typer.Option(help="Where the training images are now")] = None,
    max_batch_size: Annotated[int, typer.Option(min=1)] = 8,
    candidate: Annotated[bool, typer.Option("--candidate", help="Add, but do not serve")] = False,
) -> None:
    """Publish a run as the next version of a model, once the graph agrees with torch."""
    from export.export_run import Flavour, export_run

    flavour = Flavour(triton_backend, precision, tensorrt, images, max_batch_size)
    version = export_run(run, repository, name, flavour, candidate=candidate)
    typer.echo(f"{'added' if candidate else 'published'} {repository / name / str(version)}")


@app.command()
def publish(
    version: Annotated[int, typer.Argument(help="A version of the model")],
    repository: Repository,
    name: ModelName,
    shadow: Annotated[
        int | None, typer.Option(help="A version that Triton loads beside it")
    ] = None,
) -> None:
    """Have a version served; gateways notice, Triton is told by POST /v1/model/reload."""
    from export.repository import publish as publish_version

    publish_version(repository, name, version, [] if shadow is None else [shadow])
    typer.echo(f"published {repository / name / str(version)}")


@app.command()
def rollback(repository: Repository, name: ModelName) -> None:
    """Have the version before the served one served."""
    from export.repository import rollback as roll_back

    typer.echo(f"published {repository / name / str(roll_back(repository, name))}")


@app.command()
def serve(
    repository: Annotated[Path | None, typer.Option(help="ONEGAUGE_REPOSITORY")] = None,
    host: Annotated[str | None, typer.Option(help="ONEGAUGE_HOST")] = None,
    port: Annotated[int | None, typer.Option(help="ONEGAUGE_PORT")] = None,
    api_keys: Annotated[
        str | None, typer.Option(help="ONEGAUGE_API_KEYS: a file of onegauge key, or off")
    ] = None,
) -> None:
    """Inspect images over HTTP; all other settings are read from ONEGAUGE_* variables."""
    from pydantic import ValidationError

    from service.server import serve as run_server
    from service.settings import Settings

    options = {"repository": repository, "host": host, "port": port, "api_keys": api_keys}
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    try:
        settings = Settings(**given)
    except ValidationError as exc:
        wrong = [f"{'.'.join(map(str, e['loc']))} {e['msg']}".strip() for e in exc.errors()]
        typer.echo(f"onegauge: settings: {'; '.join(wrong)}", err=True)
        raise typer.Exit(1) from exc
    run_server(settings)


@app.command()
def key(
    name: Annotated[str, typer.Argument(help="Of the key, in logs; no two have the same")],
    file: Annotated[Path, typer.Option(help="File of the keys, ONEGAUGE_API_KEYS")],
    scopes: Annotated[str, typer.Option(help="Of inspect, read and admin")] = "inspect",
) -> None:
    """Make an API key: print it once, and append its hash to the file of the keys."""
    from service.keys import add_key

    typer.echo(add_key(file, name, _names(scopes)))


@app.command()
def watch(
    folder: Annotated[Path, typer.Argument(help="Where a camera drops its files")],
    jsonl: Annotated[Path, typer.Option(help="File of what was found; also what is done already")],
    url: Annotated[str, typer.Option(help="Address of the gateway")] = "http://127.0.0.1:8000",
    line: Annotated[str | None, typer.Option(help="Label of the line in metrics")] = None,
    threshold: Annotated[float | None, typer.Option(help="Instead of the gateway's")] = None,
    rejects: Annotated[
        Path | None, typer.Option(help="Folder for images that are not normal")
    ] = None,
    move: Annotated[
        bool, typer.Option("--move", help="Rejects out of the folder, not linked")
    ] = False,
) -> None:
    """Inspect files as they come into a folder, until Ctrl-C or SIGTERM."""
    from service.bulk import Inquiry
    from service.watch import Post
    from service.watch import watch as run_watch

    run_watch(Post(folder, jsonl, Inquiry(line, threshold).options(), rejects, move), url)


@app.command()
def inspect(
    paths: Annotated[list[Path], typer.Argument(metavar="DIR_OR_IMAGES...")],
    url: Annotated[str, typer.Option(help="Address of the gateway")] = "http://127.0.0.1:8000",
    line: Annotated[str | None, typer.Option(help="Label of the line in metrics")] = None,
    threshold: Annotated[float | None, typer.Option(help="Instead of the gateway's")] = None,
    jsonl: Annotated[Path | None, typer.Option(help="File for one JSON object per image")] = None,
    overlays: Annotated[Path | None, typer.Option(help="Folder for overlay pictures")] = None,
    mask: Annotated[Path | None, typer.Option(help="A picture, white where to inspect")] = None,
) -> None:
    """Send images to a gateway; exit status 2 if something is anomalous, 1 on error."""
    from service.bulk import ANOMALOUS, Inquiry, run

    status = run(paths, url, Inquiry(line, threshold, jsonl, overlays, mask))
    if status == ANOMALOUS:
        raise AnomaliesFound
    raise typer.Exit(status)


if __name__ == "__main__":
    main()
