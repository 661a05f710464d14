"""Commands that teach a gauge after its training, a run or a published model."""

from pathlib import Path
from typing import Annotated

import typer

from onegauge.cli.options import Data, Exclude, GroupBy, Include

app = typer.Typer()

Target = Annotated[Path, typer.Argument(metavar="TARGET", help="A run, or a repository of models")]
Name = Annotated[str, typer.Option(help="Of the model in a repository")]
Candidate = Annotated[
    bool, typer.Option("--as-candidate", help="Add the next version, but do not serve it")
]
PageFolder = Annotated[Path | None, typer.Option(help="Folder for the page")]
Csv = Annotated[Path | None, typer.Option(help="File for the list")]


@app.command()
def add(
    target: Target,
    data: Data,
    name: Name = "onegauge",
    group_by: GroupBy = None,
    include: Include = None,
    exclude: Exclude = None,
    candidate: Candidate = False,
) -> None:
    """Have a gauge know more normal images, of known or new products, without training."""
    from onegauge.teach.add import add as run
    from onegauge.teach.target import target_of
    from onegauge.training.choice import Choice

    choice = Choice(tuple(include or ()), tuple(exclude or ()))
    typer.echo(run(target_of(target, name, candidate=candidate), data, group_by, choice))


@app.command()
def remove(
    target: Target,
    reference: Annotated[
        list[str] | None, typer.Option(help="Id, as onegauge references lists it; repeatable")
    ] = None,
    group: Annotated[
        list[int] | None, typer.Option(help="Number of a group, likewise; repeatable")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of copies of what is to leave")] = None,
    name: Name = "onegauge",
    candidate: Candidate = False,
) -> None:
    """Have normal images leave a gauge, without training."""
    from onegauge.teach.remove import Unwanted
    from onegauge.teach.remove import remove as run
    from onegauge.teach.target import target_of

    unwanted = Unwanted(reference or (), group or (), data)
    typer.echo(run(target_of(target, name, candidate=candidate), unwanted))


@app.command()
def references(target: Target, name: Name = "onegauge", csv: Csv = None) -> None:
    """List the normal images that a gauge compares with."""
    from onegauge.library.fit import Fit
    from onegauge.teach.references import COLUMNS, listed, write_csv
    from onegauge.teach.target import target_of

    rows = listed(Fit.of(target_of(target, name).library))
    if csv is None:
        for row in (COLUMNS, *rows):
            typer.echo("  ".join(row))
    else:
        write_csv(csv, COLUMNS, rows)
        typer.echo(f"wrote {len(rows)} references to {csv}")


@app.command()
def recalibrate(
    target: Target,
    data: Data,
    name: Name = "onegauge",
    false_alarm_rate: Annotated[
        float | None, typer.Option(help="To promise, instead of that of the training")
    ] = None,
    group_by: GroupBy = None,
    include: Include = None,
    exclude: Exclude = None,
    out: PageFolder = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell and show what it would do, change nothing")
    ] = False,
    candidate: Candidate = False,
) -> None:
    """Find the threshold by fresh normal images of the line; nothing else changes."""
    from onegauge.teach.addition import read_pictures
    from onegauge.teach.recalibrate import recalibrate as run
    from onegauge.teach.recalibrate import recalibration_of
    from onegauge.teach.recalibration_page import write
    from onegauge.teach.target import target_of
    from onegauge.training.choice import Choice
    from onegauge.training.progress import Progress

    choice = Choice(tuple(include or ()), tuple(exclude or ()))
    gauge = target_of(target, name, candidate=candidate)
    pictures = read_pictures(gauge, data, group_by, choice, Progress())
    found = recalibration_of(gauge, pictures, false_alarm_rate)
    for sentence in found.told():
        typer.echo(sentence)
    if out is not None:
        typer.echo(f"wrote {write(found, out)}")
    if not dry_run:
        typer.echo(run(gauge, found))


@app.command()
def suspects(
    target: Target,
    name: Name = "onegauge",
    out: PageFolder = None,
    csv: Csv = None,
) -> None:
    """Show the normal images that are least like their like: dirt among them."""
    from onegauge.library.fit import Fit
    from onegauge.teach.suspects import suspects as run
    from onegauge.teach.target import target_of

    if out is None and csv is None:
        raise typer.BadParameter("name --out, --csv or both: what is to be written")
    fit = Fit.of(target_of(target, name).library)
    for file in run(fit, [str(target), "--name", name], out, csv):
        typer.echo(f"wrote {file}")
