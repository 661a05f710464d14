"""The templates of pages for people: everything is escaped, and figures are written in one way."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from onegauge.training.report.headline import interval, percent, promised, score
from onegauge.training.report.scale import stops

FOLDER = Path(__file__).parent


def templates_of(*folders: Path) -> Environment:
    """The templates of some folders, and the styles of a report."""
    environment = Environment(
        loader=FileSystemLoader([*folders, FOLDER]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "interval": interval,
        "promised": promised,
        "score": score,
    }
    environment.globals |= {"stops": stops()}
    return environment
