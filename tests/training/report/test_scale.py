from io import BytesIO

import numpy as np
from PIL import Image

from onegauge.service.inspection.anomaly_map import encode_map
from onegauge.training.report.scale import overlay, stops


def test_a_map_is_coloured_as_the_gateway_colours_it():
    anomaly_map = np.linspace(-0.5, 2.5, 16, dtype=np.float32).reshape(4, 4)
    picture = Image.new("RGB", (64, 64), (60, 90, 140))
    theirs = encode_map(anomaly_map, picture.size, "overlay", picture)
    expected = np.array(Image.open(BytesIO(theirs.data)), int)
    found = np.array(overlay(picture, anomaly_map.astype(np.float16)), int)
    assert np.abs(found - expected).mean() < 3  # theirs went through a JPEG


def test_the_scale_is_the_same_for_every_image():
    picture = Image.new("RGB", (8, 8), (100, 100, 100))
    low, high = (np.full((2, 2), value, np.float16) for value in (0.4, 2))
    assert np.array_equal(np.array(overlay(picture, low)), np.array(picture))
    assert np.array(overlay(picture, high))[0, 0].tolist() == [228, 215, 68]
    assert np.array_equal(overlay(picture, high), overlay(picture, 3 * high))


def test_the_scale_is_drawn_with_the_threshold_in_its_middle():
    assert [offset for offset, _, _ in stops()] == [0, 0.25, 0.375, 0.5, 0.75, 1]
    assert stops()[3][1] == "#f35353"
