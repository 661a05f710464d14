"""BMP that is whole: Pillow fills up what run-length coded rows leave out."""

from io import BytesIO

from PIL.BmpImagePlugin import BmpImageFile

from onegauge.service.errors import UnreadableImage, UnsupportedImage
from onegauge.service.imaging.formats.decoder import decoder_errors


def open_bmp(data: bytes) -> BmpImageFile:
    """Read the header; raises UnsupportedImage or UnreadableImage."""
    with decoder_errors():
        try:
            return BmpImageFile(BytesIO(data))
        except OSError as exc:
            if str(exc).startswith("Unsupported BMP"):
                raise UnsupportedImage(f"{exc}: save the BMP with 8 or 24 bits a pixel.") from exc
            raise


def check(file: BmpImageFile, data: bytes) -> None:
    """Raise UnreadableImage where pixels are missing from a file that is opened, not loaded."""
    (width, height), (tile, *_) = file.size, file.tile
    assert isinstance(tile.args, tuple)
    _, detail, _ = tile.args
    if tile.codec_name == "raw":  # where the detail is the length of a row
        whole = tile.offset + detail * height <= len(data)
    else:  # where it is whether a sample has 4 bits
        whole = _paints_all(data[tile.offset :], width, height, detail)
    if not whole:
        raise UnreadableImage("The image is truncated or corrupt: not all of its pixels are there.")


def _paints_all(runs: bytes, width: int, height: int, is_rle4: bool) -> bool:
    """Whether each row is as long as the picture is wide."""
    at = x = y = 0
    while y < height and at + 1 < len(runs):
        count, value = runs[at], runs[at + 1]
        at += 2
        if not count and value > 2:  # as many pixels one by one, padded to whole words
            size = (value + 1) // 2 if is_rle4 else value
            at += size + size % 2
            count = value
        if count:
            x += count
        elif value == 0:  # the end of a row
            if x != width:
                return False
            x, y = 0, y + 1
        else:  # the end of the picture, or a jump
            break
        if at > len(runs):
            return False
    return y == height or (y == height - 1 and x == width)
