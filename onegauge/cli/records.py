"""Commands of who looks after the records of a gateway."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from onegauge.cli.options import GATEWAY, ModelName, Repository
from onegauge.cli.options import Url as GatewayUrl

if TYPE_CHECKING:
    from onegauge.records.database import Database
    from onegauge.records.pictures import Pictures

app = typer.Typer()
commands = typer.Typer(
    no_args_is_help=True, help="What lines have inspected, as a gateway keeps it."
)
app.add_typer(commands, name="records")

Url = Annotated[
    str,
    typer.Option(
        "--records",
        envvar="ONEGAUGE_RECORDS",
        help="URL of the database, or a file that holds it",
    ),
]
Place = Annotated[
    str | None,
    typer.Option(
        envvar="ONEGAUGE_PICTURES", help="Folder or s3://BUCKET; by default beside a SQLite file"
    ),
]


Said: TypeAlias = Literal["confirmed", "false_alarm", "missed", "unclear", "none"]
Since = Annotated[str | None, typer.Option(help="As 2026-11-30 or 2026-11-30T06:00, in local time")]
Until = Annotated[str | None, typer.Option(help="Likewise; what is before it")]
OfLine = Annotated[str | None, typer.Option(help="Only of this line")]
OfDecision = Annotated[
    Literal["normal", "anomalous"] | None, typer.Option(help="Only with this decision")
]
OfPartDecision = Annotated[
    Literal["normal", "anomalous", "incomplete"] | None,
    typer.Option("--part-decision", help="Only of parts of several views with this decision"),
]
OfVerdict = Annotated[
    Said | None, typer.Option(help="Only with this verdict of a person, or with none")
]


@commands.command()
def export(
    records: Url,
    since: Since = None,
    until: Until = None,
    line: OfLine = None,
    decision: OfDecision = None,
    part_decision: OfPartDecision = None,
    verdict: OfVerdict = None,
    form: Annotated[
        Literal["csv", "jsonl", "parquet"], typer.Option("--format", help="Of the table")
    ] = "csv",
    out: Annotated[Path | None, typer.Option(help="File; by default standard output")] = None,
) -> None:
    """Write a table of inspections, the newest first."""
    from onegauge.records.export import write
    from onegauge.records.history import History
    from onegauge.records.search import Filter

    if out is None and form == "parquet":
        raise typer.BadParameter("--format parquet needs --out")
    which = Filter(
        since=_time(since),
        until=_time(until),
        line=line,
        decision=decision,
        part_decision=part_decision,
        verdict=verdict,
    )
    output = nullcontext(sys.stdout.buffer) if out is None else out.open("wb")
    with _opened(records) as database, output as file:
        count = write(History(database).every(which), file, form)
    typer.echo(f"wrote {count} inspections", err=True)


@commands.command()
def prune(
    records: Url,
    pictures: Place = None,
    pictures_days: Annotated[
        float | None, typer.Option(min=0, help="Pictures older than this leave")
    ] = None,
    pictures_bytes: Annotated[
        int | None, typer.Option(min=0, help="The oldest pictures leave until there are no more")
    ] = None,
    records_days: Annotated[
        float | None, typer.Option(min=0, help="Inspections older than this leave altogether")
    ] = None,
    strays_days: Annotated[
        float | None, typer.Option(min=0, help="Older pictures that no inspection has leave")
    ] = None,
) -> None:
    """Remove old pictures and inspections, but nothing that a person has marked."""
    from onegauge.records.retention import Limits
    from onegauge.records.retention import prune as run

    limits = Limits(pictures_days, pictures_bytes, records_days, strays_days)
    if limits == Limits():
        raise typer.BadParameter("name --pictures-days, --pictures-bytes, --records-days or more")
    with _opened(records) as database:
        done = run(database, _pictures(records, pictures), limits)
    typer.echo(
        f"removed {done.pictures} pictures of {done.bytes / 1e6:.1f} MB and {done.rows} inspections"
    )


@commands.command()
def stats(records: Url, pictures: Place = None) -> None:
    """Tell how much there is, of which lines and with which verdicts."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    from onegauge.client.calls import readable
    from onegauge.records.stats import stats as run

    with _opened(records) as database:
        found = run(database)
    place = _pictures(records, pictures)
    counted = ("inspected", "anomalous", "unknown", "judged")
    table = Table("line", *(Column(name, justify="right") for name in counted))
    for line in found.lines:
        counts = (str(getattr(line, name)) for name in counted)
        table.add_row(Text(readable(line.line or "-")), *counts)
    Console(soft_wrap=True).print(table)
    for verdict, count in sorted(found.verdicts.items()):
        typer.echo(f"{verdict}  {count}")
    if found.oldest and found.newest:
        typer.echo(f"from {found.oldest:%Y-%m-%d %H:%M} to {found.newest:%Y-%m-%d %H:%M} UTC")
    size = f" of {place.size() / 1e6:.1f} MB" if place else ""
    typer.echo(f"{found.pictures} pictures{size}, database of {found.database_bytes / 1e6:.1f} MB")


@commands.command()
def find(
    url: GatewayUrl = GATEWAY,
    part: Annotated[str | None, typer.Option(help="Only of this part")] = None,
    line: OfLine = None,
    since: Since = None,
    until: Until = None,
    decision: OfDecision = None,
    part_decision: OfPartDecision = None,
    verdict: OfVerdict = None,
    nearest: Annotated[
        bool, typer.Option("--nearest", help="Nearest to the threshold first, not newest")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most")] = 50,
    lines: Annotated[bool, typer.Option("--jsonl", help="One JSON object a line")] = False,
) -> None:
    """Ask a gateway what it has inspected; the key is that of ONEGAUGE_API_KEY."""
    from onegauge.client.calls import client_errors
    from onegauge.client.records import find as run
    from onegauge.schemas import Search

    with client_errors():
        search = Search(
            since=_time(since),
            until=_time(until),
            part=part,
            line=line,
            decision=decision,
            part_decision=part_decision,
            verdict=verdict,
            order="nearest" if nearest else "newest",
            limit=limit,
        )
    run(url, search, lines=lines)


@commands.command()
def judge(
    inspection: Annotated[str, typer.Argument(help="Its id")],
    verdict: Annotated[
        Said,
        typer.Argument(help="none takes the last one back"),
    ],
    url: GatewayUrl = GATEWAY,
    by: Annotated[str | None, typer.Option(help="Who says so; else the key's name")] = None,
    note: Annotated[str | None, typer.Option(help="A few words")] = None,
    whole_part: Annotated[
        bool, typer.Option("--whole-part", help="The other pictures of its part, too")
    ] = False,
) -> None:
    """Tell a gateway what an inspection really was."""
    from onegauge.client.records import judge as run

    said = None if verdict == "none" else verdict
    run(url, inspection, said, by=by, note=note, whole_part=whole_part)


@commands.command()
def replay(
    version: Annotated[int, typer.Argument(help="Of the model, served or not")],
    repository: Repository,
    name: ModelName,
    records: Url,
    pictures: Place = None,
    beside: Annotated[
        int | None, typer.Option(help="Another version; by default the one that is served")
    ] = None,
    newest: Annotated[
        int, typer.Option(min=1, help="So many of the newest, and of each verdict")
    ] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print the effect as JSON")] = False,
) -> None:
    """Tell what another version decides on the pictures that were kept."""
    import asyncio
    import json
    from dataclasses import asdict

    from onegauge.records.history import History
    from onegauge.service.model.repository import served_version
    from onegauge.service.teaching.replay import chosen, settings_for
    from onegauge.service.teaching.replay import replay as run

    place = _pictures(records, pictures)
    if place is None:
        raise typer.BadParameter("name --pictures: where they are kept")
    before = str(beside or served_version(repository / name).contract.version)
    with _opened(records) as database:
        history, settings = History(database), settings_for(repository, name)
        found = chosen(history, name, newest)
        effect = asyncio.run(run(settings, found, history, place, (before, str(version))))
    for line in [json.dumps(asdict(effect))] if as_json else effect.told():
        typer.echo(line)


@contextmanager
def _opened(records: str) -> Iterator["Database"]:
    """The database as its gateway has made it."""
    from onegauge.records.database import Database
    from onegauge.records.url import url_of

    database = Database.open(url_of(records), migrate=False)
    try:
        yield database
    finally:
        database.close()


def _pictures(records: str, place: str | None) -> "Pictures | None":
    from onegauge.records.pictures import Pictures
    from onegauge.records.url import beside, url_of

    where = place or beside(url_of(records), "pictures")
    return Pictures(where) if where else None


def _time(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
    except ValueError as exc:
        raise typer.BadParameter(f"{text!r} is no time such as 2026-11-30T06:00") from exc
