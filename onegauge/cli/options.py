"""Options that several commands share, and how lists of them are read."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from onegauge.client import Options
    from onegauge.service.settings import Settings

DetectorName = Literal["gallery", "patchcore", "revdist", "recontrast", "uniad", "dinomaly"]
Alignment = Literal["cada", "cada-scalar", "cada-paper", "class-aware", "none"]
Calibration = Literal["leave-one-out", "split"]
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
FalseAlarmRate = Annotated[float, typer.Option(help="False-alarm rate promised at score 1.0")]
OtherFalseAlarmRate = Annotated[float | None, typer.Option(help="Instead of the run's")]
Repository = Annotated[Path, typer.Option(help="Triton model repository")]
ModelName = Annotated[str, typer.Option(help="Name of the model in it")]
TritonBackend = Literal["onnxruntime", "python", "tensorrt"]
Precision = Literal["fp32", "fp16", "int8"]
MapEncoding = Literal["none", "png", "png16", "npy", "mask", "overlay"]
GroupBy = Annotated[
    str | None, typer.Option(help="Expression whose groups tell the part in a path, or: folder")
]
Epochs = Annotated[int | None, typer.Option(help="Of detectors trained by gradient")]
Url = Annotated[str, typer.Option(help="Address of the gateway")]
Line = Annotated[str | None, typer.Option(help="Label of the line in metrics")]
Part = Annotated[str | None, typer.Option(help="Serial number or order of the part")]
Views = Annotated[int | None, typer.Option(help="How many pictures make its decision")]
View = Annotated[str | None, typer.Option(help="Name or number of the camera of the one picture")]
Threshold = Annotated[float | None, typer.Option(help="Instead of the gateway's")]
Rate = Annotated[float | None, typer.Option(help="Decide by the p-value, at this rate")]
Engine = Annotated[Literal["here", "ray"], typer.Option(help="ray: all cores, or a cluster's")]
Address = Annotated[str | None, typer.Option(help="Of a Ray cluster: auto, or HOST:PORT")]

GATEWAY = "http://127.0.0.1:8000"  # where `onegauge serve` listens by default


def numbers(option: str, text: str) -> tuple[int, ...]:
    """Numbers with commas between; raises BadParameter."""
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError as exc:
        raise typer.BadParameter(f"{option} are numbers such as 1,2,3, not {text!r}") from exc


def asked(
    line: str | None,
    threshold: float | None,
    part: str | None = None,
    views: int | None = None,
    view: str | None = None,
    rate: float | None = None,
) -> "Options":
    """Options of an inspection; raises ClientError for those that no gateway takes."""
    from onegauge.client import Options
    from onegauge.client.calls import client_errors

    with client_errors():
        return Options(
            line=line,
            part=part,
            views=views,
            view=view,
            threshold=threshold,
            max_false_alarm_rate=rate,
        )


def settings_with(given: Mapping[str, Any]) -> "Settings":
    """The gateway's settings of the environment, but for some; ends the command at wrong ones."""
    from pydantic import ValidationError

    from onegauge.service.settings import Settings

    try:
        return Settings(**given)
    except ValidationError as exc:
        wrong = [f"{'.'.join(map(str, e['loc']))} {e['msg']}".strip() for e in exc.errors()]
        typer.echo(f"onegauge: settings: {'; '.join(wrong)}", err=True)
        raise typer.Exit(1) from exc


def names_in(text: str) -> tuple[str, ...]:
    """Names with commas between."""
    return tuple(name.strip() for name in text.split(","))
