"""Commands that send images to a gateway."""

from pathlib import Path
from typing import Annotated

import typer

from onegauge.cli.options import GATEWAY, Line, Part, Threshold, Url, Views, asked

app = typer.Typer()


class AnomaliesFound(Exception):
    """`inspect` found something; its exit status tells so."""


@app.command()
def inspect(
    paths: Annotated[list[Path], typer.Argument(metavar="DIR_OR_IMAGES...")],
    url: Url = GATEWAY,
    line: Line = None,
    part: Part = None,
    views: Views = None,
    threshold: Threshold = None,
    jsonl: Annotated[Path | None, typer.Option(help="File for one JSON object per image")] = None,
    overlays: Annotated[Path | None, typer.Option(help="Folder for overlay pictures")] = None,
    mask: Annotated[Path | None, typer.Option(help="A picture, white where to inspect")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Have --jsonl tell the normal images behind answers")
    ] = False,
) -> None:
    """Send images to a gateway; exit status 2 if something is anomalous, 1 on error."""
    from onegauge.client.inspect import ANOMALOUS, run

    options = asked(line, threshold, part, views).model_copy(update={"explain": explain})
    status = run(paths, url, options, mask=mask, jsonl=jsonl, overlays=overlays)
    if status == ANOMALOUS:
        raise AnomaliesFound
    raise typer.Exit(status)


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
