"""What a gateway has inspected, found and judged: `onegauge records find` and `judge`."""

import sys

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from onegauge.client.calls import readable
from onegauge.client.client import Client, key_of_environment
from onegauge.client.inspect import COLOURS
from onegauge.schemas import Inspected, Opinion, Search


def find(url: str, search: Search, *, lines: bool) -> None:
    """Print a page of what was inspected: a table, or JSON `lines`; raises ClientError."""
    with Client(url, api_key=key_of_environment()) as gateway:
        page = gateway.inspections(search)
    if lines:
        sys.stdout.writelines(f"{found.model_dump_json()}\n" for found in page.inspections)
        return
    told = Column("part", overflow="fold"), Column("file", overflow="fold")
    table = Table("time", "line", *told, "decision", "score", "verdict", Column("id", no_wrap=True))
    for found in page.inspections:
        table.add_row(*_cells(found))
    more = "; there are more" if page.next else ""
    Console(soft_wrap=True).print(table, f"{len(page.inspections)} inspections{more}")


def judge(
    url: str,
    inspection: str,
    verdict: Opinion | None,
    *,
    by: str | None,
    note: str | None,
    whole_part: bool,
) -> None:
    """Say what an inspection was, and print what is said of it now; raises ClientError."""
    with Client(url, api_key=key_of_environment()) as gateway:
        told = gateway.judge(inspection, verdict, by=by, note=note, whole_part=whole_part)
    part = "" if told.part is None else f" of part {readable(told.part)}"
    sys.stdout.write(f"{told.id}{part}: {told.decision}, {told.verdict or 'no verdict'}\n")


def _cells(found: Inspected) -> list[Text]:
    time = f"{found.time.astimezone():%Y-%m-%d %H:%M:%S}"
    plain = [time, *(readable(text or "") for text in (found.line, found.part, found.filename))]
    return [
        *map(Text, plain),
        Text(found.decision, COLOURS[found.decision]),
        Text(f"{found.score:.2f}"),
        Text(found.verdict or ""),
        Text(found.id),
    ]
