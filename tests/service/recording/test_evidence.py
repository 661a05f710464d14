from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from onegauge.records.previews import small_map
from onegauge.service.errors import UnreadableImage
from onegauge.service.imaging.depth import Depth
from onegauge.service.recording.evidence import overlay, picture, thumbnail
from rig.pictures import encode, oriented


def opened(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data), formats=["JPEG"])


def test_a_picture_is_upright_bounded_and_without_anything_beside_its_pixels():
    upload = encode(Image.new("RGB", (4096, 64), (0, 0, 200)), "JPEG", exif=oriented(6))
    shown = picture(upload + b"<script>")
    assert opened(shown).size == (32, 2048)
    assert not opened(shown).getexif()
    assert b"script" not in shown
    assert opened(picture(encode(Image.new("RGB", (600, 200))))).size == (600, 200)


def test_a_picture_of_more_than_8_bits_has_the_depth_of_the_model():
    upload = encode(Image.fromarray(np.full((40, 60), 2**12 - 1, np.uint16)))
    assert opened(picture(upload, Depth(12))).getpixel((5, 5)) == (255, 255, 255)
    assert max(opened(picture(upload)).getpixel((5, 5))) < 20


def test_an_overlay_shows_where_the_map_is_high():
    anomaly_map = np.zeros((10, 15), np.float32)
    anomaly_map[:5] = 2.0
    grey = encode(Image.new("RGB", (60, 40), (128, 128, 128)))
    shown = opened(overlay(grey, small_map(anomaly_map)))
    assert shown.getpixel((30, 35)) == pytest.approx((128, 128, 128), abs=3)
    red, _, blue = shown.getpixel((30, 5))
    assert red - blue > 100


def test_what_cannot_be_decoded_is_not_shown():
    with pytest.raises(UnreadableImage):
        picture(encode(Image.new("RGB", (60, 40)), "JPEG")[:-100])


def test_a_thumbnail_is_small_and_has_the_shape_of_the_picture():
    upload = encode(Image.new("RGB", (600, 200), (0, 0, 200)), "JPEG", exif=oriented(6))
    assert opened(thumbnail(upload)).size == (64, 192)
