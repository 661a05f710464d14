"""Commands from a folder of images to a run, and how good it is."""

from pathlib import Path
from typing import Annotated

import typer

from onegauge.cli.options import (
    Address,
    Alignment,
    BackboneName,
    BackboneWeights,
    Calibration,
    Data,
    DetectorName,
    Device,
    DryRun,
    Engine,
    Epochs,
    Exclude,
    FalseAlarmRate,
    GroupBy,
    ImageSize,
    Include,
    OtherFalseAlarmRate,
    names_in,
    numbers,
)

app = typer.Typer()


@app.command()
def train(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the run")],
    detector: Annotated[DetectorName, typer.Option(help="What makes anomaly maps")] = "gallery",
    backbone: BackboneName = "starter",
    backbone_weights: BackboneWeights = None,
    stages: Annotated[
        str | None, typer.Option(help="Such as 1,2,3; of a transformer its blocks from 0")
    ] = None,
    recentred: Annotated[
        bool, typer.Option("--recentred", help="Class token off every patch of a transformer")
    ] = False,
    image_size: ImageSize = 384,
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
    ] = 0.01,
    false_alarm_rate: FalseAlarmRate = 0.01,
    novelty_rate: Annotated[float, typer.Option(help="Of normal images called unknown")] = 0.001,
    calibration: Annotated[
        Calibration | None, typer.Option(help="By default what suits the detector")
    ] = None,
    calibration_fraction: Annotated[float, typer.Option(help="Of a split: share held out")] = 0.2,
    group_by: GroupBy = None,
    epochs: Epochs = None,
    bank_size: Annotated[int, typer.Option(help="Patches in PatchCore's memory")] = 10_000,
    assume_clean: Annotated[
        float, typer.Option(help="Share of the images that have no defect; the others are left out")
    ] = 1.0,
    references: Annotated[
        int, typer.Option(help="Images kept at most for others to be compared with")
    ] = 4_000,
    batch_size: Annotated[int, typer.Option(help="Images at a time")] = 16,
    include: Include = None,
    exclude: Exclude = None,
    dry_run: DryRun = False,
    allow_unreadable: Annotated[
        bool, typer.Option("--allow-unreadable", help="Go on where many files cannot be read")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run stopped")] = False,
    device: Device = "auto",
    seed: Annotated[int, typer.Option(help="Of all that is drawn at random")] = 0,
    engine: Engine = "here",
    address: Address = None,
) -> None:
    """Learn what normal images look like; product names are never needed."""
    from onegauge.training.config import TrainConfig

    config = TrainConfig(
        data=data,
        out=out,
        detector=detector,
        backbone=backbone,
        backbone_weights=backbone_weights,
        stages=numbers("--stages", stages) if stages else None,
        recentred=recentred,
        image_size=image_size,
        tile=tile,
        overlap=overlap,
        mask=mask,
        alignment=alignment,
        score_share=score_share,
        false_alarm_rate=false_alarm_rate,
        novelty_rate=novelty_rate,
        calibration=calibration,
        calibration_fraction=calibration_fraction,
        group_by=group_by,
        epochs=epochs,
        bank_size=bank_size,
        assume_clean=assume_clean,
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
        from onegauge.training.data.dataset import training_selection

        training_selection(data, config.choice).show()
        return
    from onegauge.training.train import train as run_training

    if engine == "here":
        run_training(config)
        return
    from onegauge.cluster import running_ray

    with running_ray(address):
        from onegauge.training.ray_workers import RayWorkers

        run_training(config, RayWorkers())


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
    false_alarm_rate: OtherFalseAlarmRate = None,
    device: Device = "auto",
) -> None:
    """Measure on labelled images: pooled, per product, by pixel, and at the one threshold."""
    from onegauge.training.choice import Choice

    choice = Choice(tuple(include or ()), tuple(exclude or ()))
    if dry_run:
        from onegauge.training.data.dataset import labelled_selection

        labelled_selection(data, choice)[0].show()
        return
    from onegauge.training.evaluation.evaluate import both_kinds
    from onegauge.training.evaluation.evaluate import evaluate as run_evaluation
    from onegauge.training.evaluation.run import Question

    names = names_in(alignments) if alignments else None
    question = Question(names, false_alarm_rate, device)
    run_evaluation(targets, both_kinds(data, choice), question, json)


@app.command()
def report(
    target: Annotated[str, typer.Argument(metavar="RUN", help="A run, or a published model")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for report.html, plots and tables")],
    include: Include = None,
    exclude: Exclude = None,
    false_alarm_rate: OtherFalseAlarmRate = None,
    device: Device = "auto",
) -> None:
    """Show how a run decides on labelled images: a page to look at, and to send."""
    from onegauge.training.choice import Choice
    from onegauge.training.evaluation.evaluate import both_kinds
    from onegauge.training.evaluation.run import Question
    from onegauge.training.report.report import report as write

    question = Question(false_alarm_rate=false_alarm_rate, device=device)
    images = both_kinds(data, Choice(tuple(include or ()), tuple(exclude or ())))
    typer.echo(f"wrote {write(target, images, question, out)}")


@app.command()
def benchmark(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the results and the runs")],
    detectors: Annotated[str, typer.Option(help="Such as patchcore,revdist")] = "gallery",
    alignments: Annotated[
        str, typer.Option(help="Such as none,class-aware,cada; recentred of transformers")
    ] = "none,class-aware,cada",
    seeds: Annotated[str, typer.Option(help="Such as 0,1,2")] = "0",
    backbone: BackboneName = "starter",
    backbone_weights: BackboneWeights = None,
    image_size: ImageSize = 384,
    false_alarm_rate: FalseAlarmRate = 0.05,
    group_by: GroupBy = None,
    epochs: Epochs = None,
    include: Include = None,
    exclude: Exclude = None,
    device: Device = "auto",
) -> None:
    """Train and evaluate every detector with every alignment; goes on where it stopped."""
    from onegauge.training.benchmark.benchmark import Grid
    from onegauge.training.benchmark.benchmark import benchmark as run_benchmark
    from onegauge.training.config import TrainConfig

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
    chosen = names_in(detectors), names_in(alignments), numbers("--seeds", seeds)
    run_benchmark(Grid(config, *chosen))
