"""What is left of the gateway's best when more is asked of it than it can do.

    python -m bench.overload

The gateway has a core, the load another. Its best is what 8 connections get that ask again as soon
as they are answered. Beside it, in turns: fewer of them, and far more than it takes on, which it
refuses at once; and requests that come three times as fast as its best, whatever becomes of those
before. As patient are so many connections as it takes on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import typer

from bench.support.figures import keep, spread
from bench.support.load import CONNECTIONS, load
from bench.support.pictures import picture
from bench.support.pinned import pinned, two_cores
from bench.support.servers import Served, server
from onegauge.service.settings import Settings

MANY = (2, 50, 200)
OVERLOAD = 3
SECONDS, ROUNDS = 4, 3
Load = Callable[..., dict[str, Any]]  # of so many `connections`, or of a `rate`


def main() -> None:
    """Measure, print, keep the figures."""
    found = measure()
    for many, share in found["goodput"].items():
        sys.stdout.write(f"{many:4} {share} of the best\n")
    sys.stdout.write(f"99 % of the open load {found['p99_of_patient']} of patient clients'\n")
    keep("overload", found)


def measure() -> dict[str, Any]:
    """Good answers a second as shares of the best, and latency beside that of patient clients."""
    serves, asks = two_cores()
    with TemporaryDirectory() as folder:
        body = Path(folder) / "body"
        body.write_bytes(picture())
        with pinned(serves), server("onegauge", Served()) as gateway, pinned(asks):

            def under(**how: float) -> dict[str, Any]:
                return load(f"{gateway.url}/inspect", body, "image/jpeg", SECONDS, **how)

            turns = [one_round(under) for _ in range(ROUNDS)]
    goodput = {many: spread([turn.goodput[many] for turn in turns]) for many in turns[0].goodput}
    return {"goodput": goodput, "p99_of_patient": spread([turn.p99 for turn in turns])}


class Turn(NamedTuple):
    """What one round gives."""

    goodput: dict[str, float]  # shares of the best, by connections, and `open`
    p99: float  # of `open`, of what patient clients have


def one_round(under: Load) -> Turn:
    """Each load once."""
    settings = Settings(api_keys="off")
    best = under(connections=CONNECTIONS)["rate"]
    patient = under(connections=settings.max_in_flight + settings.max_waiting)
    goodput = {str(many): under(connections=many)["rate"] / best for many in MANY}
    asked = under(rate=OVERLOAD * best)
    return Turn(goodput | {"open": asked["rate"] / best}, asked["p99"] / patient["p99"])


if __name__ == "__main__":
    typer.run(main)
