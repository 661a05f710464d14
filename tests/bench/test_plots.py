"""The picture of how a machine's figures scale."""

import pytest
from PIL import Image

from bench import plots
from bench.support.figures import RESULTS, folder_of

MACHINE = folder_of({"processor": "AMD EPYC, cpu family 26, model 2", "cores": 2})


def test_kept_figures_are_drawn(tmp_path):
    plots.main(tmp_path / "scaling.png", MACHINE)
    with Image.open(tmp_path / "scaling.png") as picture:
        assert picture.width > 3 * picture.height


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(SystemExit, match="formats, references"):
        plots.main(tmp_path / "scaling.png", RESULTS / "none")
