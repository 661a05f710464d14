from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from onegauge.service.inspection.anomaly_map import (
    EncodedMap,
    colours,
    encode_map,
    fitting_size,
    layer,
    strips,
)


def picture(encoded: EncodedMap) -> Image.Image:
    return Image.open(BytesIO(encoded.data), formats=["PNG", "JPEG"])


def flat(value: float) -> np.ndarray:
    return np.full((4, 6), value, np.float32)


@pytest.mark.parametrize(("encoding", "white"), [("png", 255), ("png16", 65535)])
def test_pictures_have_one_linear_scale_for_all_maps(encoding, white):
    for value, share in [(-1, 0), (0, 0), (0.5, 0.25), (1, 0.5), (1.5, 0.75), (2, 1), (7, 1)]:
        levels = np.array(picture(encode_map(flat(value), (12, 8), encoding)))
        assert levels.dtype == (np.uint8 if encoding == "png" else np.uint16)
        assert abs(levels.astype(float) - share * white).max() <= 0.5


def test_npy_carries_the_values_themselves():
    encoded = encode_map(flat(7.125), (12, 8), "npy")
    values = np.load(BytesIO(encoded.data))
    assert (values.dtype, values.shape) == (np.float32, (8, 12))
    assert (values == 7.125).all()


def test_npy_is_the_file_that_numpy_writes():
    anomaly_map, file = np.random.default_rng(0).random((4, 6), np.float32), BytesIO()
    np.save(file, anomaly_map)
    assert encode_map(anomaly_map, (6, 4), "npy").data == file.getvalue()


@pytest.mark.parametrize("size", [(1000, 700), (7, 5), (300_000, 2)])
def test_strips_are_all_of_a_picture_in_parts_that_are_done_in_no_time(size):
    whole = Image.linear_gradient("L").resize(size)
    again, largest = Image.new("L", size), 0
    for place, part in strips(whole):
        again.paste(part, place)
        largest = max(largest, part.height * (part.height > 1) * part.width)
    assert again == whole
    assert largest <= 2**18


def test_map_is_enlarged_smoothly_and_in_place():
    anomaly_map = np.zeros((4, 6), np.float32)
    anomaly_map[1, 4] = 2.0
    encoded = encode_map(anomaly_map, (60, 40), "png")
    levels = np.array(picture(encoded))
    assert (encoded.width, encoded.height) == (60, 40)
    assert levels.shape == (40, 60)
    centre = np.unravel_index(levels.argmax(), levels.shape)
    np.testing.assert_allclose(centre, (15, 45), atol=1)
    assert (levels[:4] == 0).all()
    assert (levels[:, :34] == 0).all()


def test_overlay_leaves_normal_parts_alone_and_colours_anomalous_ones():
    original = Image.new("RGB", (60, 40), (10, 120, 230))
    anomaly_map = np.zeros((4, 6), np.float32)
    anomaly_map[:, 3:] = 2.0
    pixels = np.array(picture(encode_map(anomaly_map, (60, 40), "overlay", original)))
    np.testing.assert_allclose(pixels[:, :20].reshape(-1, 3), [(10, 120, 230)] * 800, atol=6)
    red, green, blue = pixels[20, 55].tolist()
    assert red > 200
    assert green > 200
    assert blue < 120


def lightness(srgb: np.ndarray) -> np.ndarray:
    """CIE L* of colours (N, 3)."""
    share = srgb / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return 116 * np.cbrt(luminance) - 16


def test_colours_rise_in_lightness_so_that_nobody_needs_to_tell_red_from_green():
    shown = lightness(colours()[64:].astype(float))  # from 0.5 on
    assert (np.diff(shown) > -0.3).all()  # but for rounding
    assert shown[-1] - shown[64] > 30, "twice the threshold is far from the threshold"
    assert shown[64] - shown[0] > 20, "as is the threshold from where colour begins"


def test_a_layer_over_a_picture_is_the_overlay():
    levels = np.linspace(0, 255, 256).astype(np.uint8).reshape(16, 16)
    picture = Image.new("RGB", (16, 16), (90, 120, 60))
    laid = Image.open(BytesIO(layer(levels)))
    picture.paste(laid, (0, 0), laid)
    values = (levels / 255 * 2).astype(np.float32)
    original = Image.new("RGB", (16, 16), (90, 120, 60))
    overlay = encode_map(values, (16, 16), "overlay", original, lossless=True)
    expected = np.asarray(Image.open(BytesIO(overlay.data)), int)
    assert abs(np.asarray(picture, int) - expected).max() <= 1


def test_overlay_is_lossless_where_it_is_asked_for():
    original = Image.new("RGB", (60, 40), (10, 120, 230))
    encoded = encode_map(flat(0), (60, 40), "overlay", original, lossless=True)
    assert picture(encoded).format == "PNG"
    assert np.array(picture(encoded))[0, 0].tolist() == [10, 120, 230]


def test_overlay_of_a_reduced_map_reduces_the_original():
    original = Image.new("RGB", (60, 40))
    assert picture(encode_map(flat(1), (30, 20), "overlay", original)).size == (30, 20)


@pytest.mark.parametrize(
    ("size", "limit", "fitting"),
    [
        ((400, 300), 120_000, (400, 300)),
        ((400, 300), 119_999, (200, 150)),
        ((4001, 3001), 1_400_000, (1333, 1000)),
        ((70_000, 100), 16_000_000, (35_000, 50)),
    ],
)
def test_large_maps_are_divided_by_a_whole_number(size, limit, fitting):
    assert fitting_size(size, limit) == fitting
