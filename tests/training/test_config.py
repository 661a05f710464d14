from pathlib import Path

import pytest

from onegauge.training.config import TrainConfig
from onegauge.training.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("false_alarm_rate", 0.0),
        ("false_alarm_rate", 1.0),
        ("calibration_fraction", 1.5),
        ("novelty_rate", -0.1),
        ("score_share", -0.1),
        ("score_share", 1.1),
        ("epochs", 0),
        ("bank_size", 0),
        ("references", 0),
        ("batch_size", -1),
        ("image_size", 0),
        ("assume_clean", 0.5),
        ("assume_clean", 1.1),
    ],
)
def test_a_value_that_cannot_work_is_named_with_its_option(name, value):
    with pytest.raises(ConfigError, match=rf"{name} .* not {value:g}"):
        TrainConfig(Path("parts"), Path("run"), **{name: value})


def test_a_calibration_that_there_is_not_is_named():
    with pytest.raises(ConfigError, match="must be leave-one-out or split, not 'none'"):
        TrainConfig(Path("parts"), Path("run"), calibration="none")


@pytest.mark.parametrize("stages", [(), (3, 2, 1), (2, 2)])
def test_stages_that_do_not_ascend_are_named(stages):
    with pytest.raises(ConfigError, match="stages must ascend"):
        TrainConfig(Path("parts"), Path("run"), stages=stages)
