"""Commands that send images to a gateway."""

from collections.abc import Mapping, Sequence
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
    Views,
    asked,
    settings_with,
)

if TYPE_CHECKING:
    from onegauge.bulk.work import Work
    from onegauge.client import Options

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

    options = asked(line, threshold, part, views, max_false_alarm_rate)
    if engine == "ray":
        _refuse(engine, {"jsonl": jsonl, "overlays": overlays, "explain": explain, "views": views})
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
) -> None:
    """Inspect files as they come into a folder, until Ctrl-C or SIGTERM."""
    from onegauge.client.watch.watch import Station
    from onegauge.client.watch.watch import watch as run_watch

    run_watch(Station(folder, jsonl, asked(line, threshold), rejects, move), url)
