"""The command line, called as a user calls it, and files for it."""

from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image

from onegauge.cli import app, main


def commands() -> dict[str, Any]:
    """Every command by its words, such as `serve` and `records export`."""
    groups = typer.main.get_command(app).commands
    return {
        f"{group} {name}".strip(): command
        for group, within in groups.items()
        for name, command in getattr(within, "commands", {"": within}).items()
    }


def status(*arguments: str) -> int:
    """With what status `onegauge` exits."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code or 0


def grey_image(file: Path, grey: int) -> str:
    """A file of one grey; 128 and brighter is anomalous to the gauge."""
    Image.new("L", (48, 32), grey).save(file)
    return str(file)
