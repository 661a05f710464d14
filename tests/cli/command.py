"""The command line, called as a user calls it, and files for it."""

from pathlib import Path

import pytest
from PIL import Image

from onegauge.cli import main


def status(*arguments: str) -> int:
    """With what status `onegauge` exits."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code or 0


def grey_image(file: Path, grey: int) -> str:
    """A file of one grey; 128 and brighter is anomalous to the gauge."""
    Image.new("L", (48, 32), grey).save(file)
    return str(file)
