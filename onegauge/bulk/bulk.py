"""Very many images → Parquet, by Ray: the command `onegauge inspect --engine ray`."""

import sys
from collections import Counter

import pyarrow as pa
from rich.console import Console
from rich.table import Table
from rich.text import Text

from onegauge.bulk.output import Output
from onegauge.bulk.pipeline import inspected
from onegauge.bulk.progress import progress
from onegauge.bulk.source import paths_below
from onegauge.bulk.work import Work
from onegauge.client.inspect import ANOMALOUS, COLOURS, ERROR, NORMAL
from onegauge.cluster import running_ray


def run(source: str, place: str, work: Work, address: str | None = None) -> int:
    """Inspect the images of a source that have no row in `place` yet; returns the exit status.

    That goes by all rows there: ERROR when one has no decision, else ANOMALOUS when one is
    anomalous, else NORMAL. What was found until something ended it is written, too. Raises
    BulkError and ClusterError.
    """
    output = Output(place, work.asked)
    before, paths = output.counts.copy(), paths_below(source, output.done)
    if not paths.num_rows:
        _show(before - before, before, place)
    else:
        with running_ray(address):
            try:
                _inspect(paths, output, work)
            finally:  # before Ray ends, which takes its time
                output.flush()
                _show(output.counts - before, output.counts, place)
    if output.counts["error"]:
        return ERROR
    return ANOMALOUS if output.counts["anomalous"] else NORMAL


def _inspect(paths: pa.Table, output: Output, work: Work) -> None:
    with progress(paths.num_rows) as advance:
        for rows in inspected(paths, work):
            output.add(rows)
            advance(rows.num_rows)


def _show(found: Counter[str], there: Counter[str], place: str) -> None:
    """A table of counts; `unknown` are images among those with a decision."""
    counts = Table("decision", "this run", "in all")
    for word in (*COLOURS, "unknown"):
        name = "of an unknown product" if word == "unknown" else word
        counts.add_row(Text(name, COLOURS.get(word, "")), f"{found[word]:,}", f"{there[word]:,}")
    Console().print(counts, Text(f"rows in {place}"), soft_wrap=True)
    sys.stdout.flush()
