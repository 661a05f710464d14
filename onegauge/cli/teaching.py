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
    """Have new normal images of known or new products known, without training."""
    from onegauge.teach.add import add as run
    from onegauge.teach.target import target_of
    from onegauge.training.choice import Choice

    choice = Choice(tuple(include or ()), tuple(exclude or ()))
    typer.echo(run(target_of(target, name), data, group_by, choice, candidate=candidate))


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
    typer.echo(run(target_of(target, name), unwanted, candidate=candidate))


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
