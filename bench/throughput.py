"""Images a second of the gateway beside the limit of the machine and beside peers, in one run.

    python -m bench.throughput

limit     decode, resize and a session on each core, without HTTP
plain     the same graph behind a plain FastAPI handler
litserve, bentoml   the same behind LitServe and BentoML, in environments of their own

All take turns, round by round, so that what else the machine does hits them alike. The load is a
JPEG of a megapixel on 8 connections that ask again as soon as they are answered. Ratios are to the
limit of the same round. `taskset -c 0` before it measures all of them on one core.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

from bench.support.figures import keep, spread
from bench.support.limit import limit
from bench.support.load import CONNECTIONS, load
from bench.support.pictures import form, picture
from bench.support.servers import Served, server

PEERS = ("onegauge", "plain", "litserve", "bentoml")


def main(
    seconds: float = 8,
    rounds: int = 5,
    servers: Annotated[list[str] | None, typer.Option("--server")] = None,
    repository: Path = Served.repository,
    name: str = Served.name,
) -> None:
    """Measure, print a table, keep the figures."""
    model, image = Served(repository, name), picture()
    body, content_type = form(image)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        file = Path(folder) / "body"
        file.write_bytes(body)
        running = {n: stack.enter_context(server(n, model)) for n in servers or PEERS}
        measured: dict[str, list[dict[str, Any]]] = {n: [] for n in ("limit", *running)}
        for _ in range(rounds):
            measured["limit"].append(limit(model.file, image, seconds))
            for n, one in running.items():
                before = one.event_loop_s()
                found = load(
                    f"{one.url}/inspect", file, content_type, seconds, connections=CONNECTIONS
                )
                if list(found["statuses"]) != ["200"]:
                    sys.exit(f"{n} failed under load: {found['statuses']}")
                spent = one.event_loop_s() - before
                measured[n].append(found | {"event_loop_s": spent / found["statuses"]["200"]})
    report(measured, name)


def report(measured: dict[str, list[dict[str, Any]]], name: str) -> None:
    """Medians over the rounds, the ratio to the limit first."""
    rows = {}
    sys.stdout.write("of the limit            images/s   p50 ms   p99 ms  loop ms\n")
    for who, rounds in measured.items():
        ratios = [r["rate"] / of["rate"] for r, of in zip(rounds, measured["limit"], strict=True)]
        told = ("rate", "p50", "p99", "event_loop_s")
        medians = {k: median(r[k] for r in rounds) for k in told if k in rounds[0]}
        rows[who] = {"of_limit": spread(ratios), **medians}
        times = "".join(f"{1000 * medians[k]:9.1f}" for k in told[1:] if k in medians)
        shown = "{median:.3f} ({lowest:.3f} to {highest:.3f})".format(**rows[who]["of_limit"])
        sys.stdout.write(f"{shown}  {medians['rate']:8.1f}{times}  {who}\n")
    keep(f"throughput of {name} on {len(os.sched_getaffinity(0))} cores", rows)


if __name__ == "__main__":
    typer.run(main)
