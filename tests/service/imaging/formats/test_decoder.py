import pytest

from onegauge.service.errors import TooManyPixels, UnreadableImage
from onegauge.service.imaging.formats.decoder import decoder_errors
from onegauge.service.imaging.image import read_original
from rig.pictures import encode, picture


def test_what_a_decoder_raises_is_an_unreadable_image():
    with pytest.raises(UnreadableImage, match="bad Huffman code"), decoder_errors():
        raise OSError("bad Huffman code")


def test_a_problem_of_ours_passes():
    with pytest.raises(TooManyPixels), decoder_errors():
        raise TooManyPixels("too many")


@pytest.mark.parametrize("encoding", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_a_mistake_of_ours_is_not_the_clients(encoding):
    with pytest.raises(TypeError):
        read_original(encode(picture(), encoding), max_pixels="many")
