import numpy as np

from onegauge.training.config import TrainConfig
from onegauge.training.gauge.split import split_parts
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
