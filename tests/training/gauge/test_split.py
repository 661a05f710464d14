from dataclasses import replace

import numpy as np
import pytest

from onegauge.training.config import TrainConfig
from onegauge.training.errors import ConfigError
from onegauge.training.gauge.split import leaves_one_out, split_parts
from onegauge.training.progress import Progress


def test_the_split_keeps_calibration_images_out_of_the_fit(tmp_path):
    fit, held_out = split_parts(1000, TrainConfig(tmp_path, tmp_path), Progress())
    assert len(held_out) == 200
    assert sorted([*fit, *held_out]) == list(range(1000))
    again = split_parts(1000, TrainConfig(tmp_path, tmp_path), Progress())
    assert np.array_equal(again[1], held_out)


def test_the_calibration_part_grows_where_the_promise_needs_it(tmp_path, capsys):
    _, held_out = split_parts(300, TrainConfig(tmp_path, tmp_path), Progress())
    assert len(held_out) == 99
    assert capsys.readouterr().err == ""


def test_a_promise_that_cannot_be_kept_is_said_before_training(tmp_path, capsys):
    _, held_out = split_parts(100, TrainConfig(tmp_path, tmp_path), Progress())
    assert len(held_out) == 50
    told = capsys.readouterr().err
    assert "0.0196, not 0.01" in told
    assert "at least 198 images" in told


def test_every_part_is_fitted_and_calibrated_on_where_each_can_be_left_out(tmp_path):
    config = TrainConfig(tmp_path, tmp_path)
    assert leaves_one_out(config)
    assert leaves_one_out(replace(config, detector="patchcore", calibration="leave-one-out"))
    assert not leaves_one_out(replace(config, calibration="split"))
    assert not leaves_one_out(replace(config, detector="revdist"))


def test_what_has_learnt_by_gradient_cannot_be_asked_to_leave_one_out(tmp_path):
    config = TrainConfig(tmp_path, tmp_path, "uniad", calibration="leave-one-out")
    with pytest.raises(ConfigError, match="uniad has learnt .* --calibration split"):
        leaves_one_out(config)


@pytest.mark.parametrize("changes", [{"detector": "revdist"}, {"calibration": "split"}])
def test_where_no_image_is_left_out_in_turn_none_can_be_suspected(tmp_path, changes):
    with pytest.raises(ConfigError, match=r"assume_clean 0\.98 needs a detector that leaves"):
        leaves_one_out(TrainConfig(tmp_path, tmp_path, assume_clean=0.98, **changes))
