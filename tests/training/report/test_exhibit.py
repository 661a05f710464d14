from base64 import b64decode
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from onegauge.training.report.exhibit import OUTLINE, SIDE, exhibit


def shown(uri: str) -> np.ndarray:
    kind, _, data = uri.partition(",")
    assert kind == "data:image/jpeg;base64"
    return np.array(Image.open(BytesIO(b64decode(data))), int)


def cyan(picture: np.ndarray) -> np.ndarray:
    return np.abs(picture - OUTLINE).max(2) < 40


@pytest.mark.parametrize(
    ("scores", "row", "outcome"),
    [
        (([0.9], []), 0, "passed"),
        (([1.0], []), 0, "false alarm"),
        (([], [0.9]), 0, "missed"),
        (([], [1.0]), 0, "found"),
    ],
)
def test_the_outcome_says_what_became_of_an_image(line, scores, row, outcome):
    assert exhibit(line(nut=scores), row).outcome == outcome


def test_an_image_keeps_its_aspect_ratio_and_lies_beside_its_map(line):
    one = exhibit(line(nut=([0.1, 2.0], [])), 1)
    picture, overlay = shown(one.picture), shown(one.overlay)
    assert picture.shape == overlay.shape == (SIDE // 2, SIDE, 3)
    assert np.abs(picture - (90, 120, 60)).max() < 6
    assert overlay[..., 0].min() > 180  # a map of 2 is red all over


def test_the_ground_truth_is_outlined_outside_of_what_it_marks(line, tmp_path):
    readings = line(nut=([], [0.0]))
    mask = np.zeros((20, 40), np.uint8)
    mask[8:12, 10:20] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    image = replace(readings.images[0], mask=tmp_path / "mask.png")
    one = exhibit(replace(readings, images=(image,)), 0)
    found, inside = cyan(shown(one.overlay)), np.zeros((SIDE // 2, SIDE), bool)
    inside[52:76, 64:128] = True  # the mask at 6.4 times its size, all but its edge
    assert found.any()
    assert not (found & inside).any()
    rows, columns = np.nonzero(found)
    assert (rows.min() < 52, rows.max() > 76) == (True, True)
    assert (columns.min() < 64, columns.max() > 127) == (True, True)
    assert not cyan(shown(one.picture)).any()


def test_without_its_mask_an_image_is_shown_without_outline(line, tmp_path):
    readings = line(nut=([], [0.0]))
    image = replace(readings.images[0], mask=tmp_path / "gone.png")
    assert not cyan(shown(exhibit(replace(readings, images=(image,)), 0).overlay)).any()


@pytest.mark.parametrize("content", [None, b"no image"])
def test_an_image_that_is_gone_or_damaged_is_shown_by_its_reading_alone(line, content):
    readings = line(nut=([1.5], []))
    path = readings.images[0].path
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    one = exhibit(readings, 0)
    assert (one.picture, one.overlay) == (None, None)
    assert (one.score, one.outcome) == (1.5, "false alarm")
