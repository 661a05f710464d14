import pytest
from PIL import Image

from onegauge.service.errors import UnsupportedImage
from onegauge.service.imaging.formats.foreign import foreign_format
from onegauge.service.imaging.image import read_original
from rig.pictures import encode

BOX = b"\0\0\0\x1cftyp"


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (BOX + b"avif", "AVIF"),
        (BOX + b"heic", "HEIC"),
        (BOX + b"mif1", "HEIC"),
        (BOX + b"crx ", "camera raw"),
        (BOX + b"isom", "MP4"),
        (b"\xff\x0a\x00", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\xff\x4f\xff\x51\0", "JPEG 2000"),
        (b"II\xbc\x01", "JPEG XR"),
        (b"P5\n640 480\n255\n", "PGM"),
        (b"MM\0+\0\x08", "BigTIFF"),
        (b"IIU\0\x08", "camera raw"),
        (b"v/1\x01\x02", "OpenEXR"),
        (b"\0" * 128 + b"DICM", "DICOM"),
        (b"\x93NUMPY\x01", "NumPy"),
        (b"<?xml version='1.0'?>\n<svg>", "SVG"),
    ],
)
def test_a_foreign_format_is_named_in_the_refusal(start, name):
    with pytest.raises(UnsupportedImage, match=name):
        read_original(start, max_pixels=1)


@pytest.mark.parametrize("encoding", ["GIF", "PPM", "ICO", "PCX", "DDS", "SGI", "JPEG2000", "PDF"])
def test_what_pillow_writes_is_named(encoding):
    name = "PNM" if encoding == "PPM" else encoding.replace("JPEG2000", "JPEG 2000")
    assert name in foreign_format(encode(Image.new("RGB", (16, 16)), encoding))


def test_what_is_unknown_has_no_name():
    assert foreign_format(b"just a text") is None
    assert foreign_format(b"") is None
