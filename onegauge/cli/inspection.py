"""Commands that send images to a gateway."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onegauge.cli.options import (
    GATEWAY,
    Address,
    Engine,
    Line,
    MapEncoding,
    Part,
    Rate,
    Threshold,
    Url,
    View,
    Views,
    asked,
    settings_with,
)

if TYPE_CHECKING:
    from onegauge.bulk.work import Work
    from onegauge.client import Options

_of_camera = partial(typer.Option, rich_help_panel="Camera")  # their group in --help

app = typer.Typer()


class AnomaliesFound(Exception):
    """`inspect` found something; its exit status tells so."""


@app.command()
def inspect(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCES...", help="Images, folders")],
    url: Url = GATEWAY,
    line: Line = None,
    part: Part = None,
    views: Views = None,
    view: View = None,
    threshold: Threshold = None,
    max_false_alarm_rate: Rate = None,
    jsonl: Annotated[Path | None, typer.Option(help="File for one JSON object per image")] = None,
    overlays: Annotated[Path | None, typer.Option(help="Folder for overlay pictures")] = None,
    mask: Annotated[Path | None, typer.Option(help="A picture, white where to inspect")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Have --jsonl tell the normal images behind answers")
    ] = False,
    engine: Engine = "here",
    address: Address = None,
    output: Annotated[
        str | None, typer.Option(help="Of Ray: folder or bucket for Parquet files")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Of Ray: a model repository, instead of a gateway")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the model in it")] = "onegauge",
    maps: Annotated[MapEncoding, typer.Option(help="Of Ray: anomaly maps in the output")] = "none",
) -> None:
    """Inspect images by a gateway, or by Ray; exit status 2 if one is anomalous, 1 on error."""
    from onegauge.client.inspect import ANOMALOUS, run

    options = asked(line, threshold, part, views, view, max_false_alarm_rate)
    if engine == "ray":
        not_of_ray = {"jsonl": jsonl, "overlays": overlays, "explain": explain}
        _refuse(engine, not_of_ray | {"views": views, "view": view})
        options = options.model_copy(update={"map": maps})
        work = _work(options, mask, model=model, name=name, url=url)
        status = _by_ray(sources, output, work, address)
    else:
        of_ray = {"address": address, "output": output, "model": model, "maps": maps != "none"}
        _refuse(engine, of_ray)
        options = options.model_copy(update={"explain": explain})
        status = run([*map(Path, sources)], url, options, mask=mask, jsonl=jsonl, overlays=overlays)
    if status == ANOMALOUS:
        raise AnomaliesFound
    raise typer.Exit(status)


def _refuse(engine: str, options: Mapping[str, object]) -> None:
    given = [f"--{name}" for name, value in options.items() if value]
    if given:
        raise typer.BadParameter(f"{' and '.join(given)} cannot be had with --engine {engine}")


def _work(
    options: "Options", mask: Path | None, *, model: Path | None, name: str, url: str
) -> "Work":
    """How Ray has images decided on."""
    from onegauge.bulk.work import by_gateway, by_model
    from onegauge.client import key_of_environment
    from onegauge.files import read_file

    painted = None if mask is None else read_file(mask)
    if model is None:
        settings = settings_with({"api_keys": "off"})
        return by_gateway(settings, url, key_of_environment(), options, painted)
    if url != GATEWAY:
        raise typer.BadParameter("give --model or --url, not both")
    settings = settings_with({"api_keys": "off", "repository": model, "model": name})
    return by_model(settings, options, painted)


def _by_ray(sources: Sequence[str], output: str | None, work: "Work", address: str | None) -> int:
    from onegauge.bulk.bulk import run

    if output is None:
        raise typer.BadParameter("--engine ray needs --output")
    if len(sources) > 1:
        raise typer.BadParameter("--engine ray takes one SOURCE: a folder, or a glob in quotes")
    return run(sources[0], output, work, address)


@app.command()
def watch(
    folder: Annotated[Path, typer.Argument(help="Where a camera drops its files")],
    jsonl: Annotated[Path, typer.Option(help="File of what was found; also what is done already")],
    url: Url = GATEWAY,
    line: Line = None,
    threshold: Threshold = None,
    rejects: Annotated[
        Path | None, typer.Option(help="Folder for images that are not normal")
    ] = None,
    move: Annotated[
        bool, typer.Option("--move", help="Rejects out of the folder, not linked")
    ] = False,
    source: Annotated[
        str | None,
        _of_camera(
            envvar="ONEGAUGE_CAMERA",
            help="Camera whose frames go into the folder: rtsp://…, /dev/video0, genicam:…, a file",
        ),
    ] = None,
    every: Annotated[float | None, _of_camera(help="Seconds between frames", min=0.0)] = None,
    trigger: Annotated[
        str | None, _of_camera(help="-: lines of standard input; Line0: the camera's")
    ] = None,
    views: Annotated[
        int | None, _of_camera(help="How many frames make a part's decision", min=1)
    ] = None,
    view: Annotated[str | None, _of_camera(help="Name or number of this camera")] = None,
    keep: Annotated[bool, _of_camera("--keep", help="Normal frames, too")] = False,
    max_waiting: Annotated[int, _of_camera(help="Frames without a decision", min=1)] = 1000,
    lossless: Annotated[bool, _of_camera("--lossless", help="PNG instead of JPEG")] = False,
    metrics: Annotated[str | None, _of_camera(help="HOST:PORT for Prometheus")] = None,
    min_sharpness: Annotated[float, _of_camera(help="0 to 1", min=0.0, max=1.0)] = 0.1,
    usual_sharpness: Annotated[
        float, _of_camera(help="Share of the usual", min=0.0, max=1.0)
    ] = 0.65,
    min_highlights: Annotated[float, _of_camera(help="0 to 255", min=0.0, max=255.0)] = 64.0,
    usual_highlights: Annotated[
        float, _of_camera(help="Share of the usual", min=0.0, max=1.0)
    ] = 0.38,
    max_clipped: Annotated[float, _of_camera(help="0 to 1", min=0.0, max=1.0)] = 0.99,
) -> None:
    """Inspect files as they come into a folder, until Ctrl-C or SIGTERM."""
    from onegauge.client.watch.watch import Station
    from onegauge.client.watch.watch import watch as run_watch

    station = Station(folder, jsonl, asked(line, threshold), rejects, move)
    if source is None:
        run_watch(station, url)
        return
    from onegauge.camera.quality import Bounds
    from onegauge.camera.watching import Camera, watch_camera

    bounds = Bounds(min_sharpness, usual_sharpness, min_highlights, usual_highlights, max_clipped)
    of_part = asked(line, threshold, "any", views, view)  # refused now, not with the first frame
    of_frames = (of_part.views, of_part.view, keep, max_waiting)
    camera = Camera(source, every, trigger, *of_frames, metrics, lossless, bounds)
    watch_camera(station, url, camera)
