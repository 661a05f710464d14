"""TIFF by its tags: named where it is of a kind that is not read, and checked to be whole."""

import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import cast

from PIL.Image import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from onegauge.service.errors import UnreadableImage, UnsupportedImage
from onegauge.service.imaging.depth import CONTAINER, DEPTHS
from onegauge.service.imaging.formats import jpeg
from onegauge.service.imaging.formats.decoder import decoder_errors

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIPS, _ORIENTATION, SAMPLES, ROWS, STRIP_SIZES, HIGHEST = 273, 274, 277, 278, 279, 281
_PLANAR, PREDICTOR, TILE_WIDTH, TILE_HEIGHT, TILES, TILE_SIZES = 284, 317, 322, 323, 324, 325
_EXTRA, _FORMAT, _JPEG_TABLES, _SUBSAMPLING = 338, 339, 347, 530

_RAW, _JPEG, _DEFLATES = 1, {6, 7}, {8, 32946}
_PACKBITS = 32773
_DECODED = {_RAW, 2, 3, 4, 5, _PACKBITS, 34925, 50000} | _JPEG | _DEFLATES
_SCHEMES = {
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "lossy JPEG of camera raw",
    34933: "PNG",
    34934: "JPEG XR",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
WHITE_IS_0, GREY, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
COLOURS = {WHITE_IS_0: 1, GREY: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _YCBCR: 3}
_KINDS = {
    4: "a transparency mask",
    8: "CIELAB colours",
    32803: "a colour filter array (camera raw)",
    32844: "LogL",
    32845: "LogLuv",
    34892: "linear camera raw",
}
_NUMBERS = {2: "signed integers", 3: "floats", 5: "complex integers", 6: "complex floats"}
_PREMULTIPLIED, STRAIGHT = 1, 2
_SIZES = {WIDTH, HEIGHT, BITS, SAMPLES, ROWS, TILE_WIDTH, TILE_HEIGHT}
_MOST_CHANNELS = 6
_LARGE_PART = 2**24  # bytes, which a tile may have however small the picture is


@dataclass(frozen=True)
class Segment:
    """A strip or a tile: the bytes that it has, and those that it unpacks to, at most."""

    offset: int
    size: int
    unpacked: int
    most: int


@dataclass(frozen=True)
class Tiff:
    """The first directory of a file, and how many there are."""

    data: bytes
    tags: ImageFileDirectory_v2
    pages: int

    @classmethod
    def read(cls, data: bytes) -> "Tiff":
        """Read the tags; raises UnsupportedImage or UnreadableImage."""
        with decoder_errors():
            header = data[: 16 if data[2:3] == b"+" else 8]
            tags, following = ImageFileDirectory_v2(header), ImageFileDirectory_v2(header)
            file = BytesIO(data)
            first = tags.next
            file.seek(first)
            tags.load(file)
            following.next, seen = tags.next, {0, first}
            while following.next not in seen:
                seen.add(following.next)
                file.seek(following.next)
                following.load(file)
        tiff = cls(data, tags, len(seen) - 1)
        tiff._refuse_unsupported()
        return tiff

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as they are stored."""
        return self.number(WIDTH), self.number(HEIGHT)

    @property
    def orientation(self) -> int:
        """How it has to be turned, as EXIF counts it: Pillow turns what it decodes by itself."""
        return self.number(_ORIENTATION, 1) if self.has_samples else 1

    @property
    def has_samples(self) -> bool:
        """Whether its samples are to be read instead of Pillow's pixels."""
        left_to_pillow = self.compression in _JPEG or self.photometric in (_CMYK, _YCBCR)
        special = self.bits > 8 or self.is_planar or _PREMULTIPLIED in self.extra
        return special and not left_to_pillow

    def picture(self) -> Image:
        """As Pillow decodes it, upright; raises UnsupportedImage or UnreadableImage."""
        self.check()
        with decoder_errors():
            try:
                file = TiffImageFile(BytesIO(self.data))
            except SyntaxError as exc:  # of tags that could be read
                raise UnsupportedImage(f"A TIFF of this kind cannot be inspected: {exc}") from exc
            file.load()
        return file

    def _refuse_unsupported(self) -> None:
        kinds = [n for n in self.numbers(_FORMAT, (1,)) if n != 1]
        bits = {*self.numbers(BITS, (1,))}
        what = None
        if self.compression not in _DECODED:
            scheme = _SCHEMES.get(self.compression, f"scheme {self.compression}")
            what = f"compressed by {scheme}"
        elif self.photometric not in COLOURS:
            what = f"of {_KINDS.get(self.photometric, f'colour space {self.photometric}')}"
        elif kinds:
            what = f"of {_NUMBERS.get(kinds[0], f'sample format {kinds[0]}')}"
        elif len(bits) > 1 or not bits <= {1, 2, 4, *DEPTHS}:
            what = f"of {', '.join(map(str, sorted(bits)))} bits for a sample"
        else:
            what = self._unsupported_layout()
        if what:
            raise UnsupportedImage(
                f"A TIFF {what} cannot be inspected: save the image as 8 or 16-bit grey, RGB, "
                "RGBA, palette or CMYK, without compression or by LZW or Deflate."
            )

    def _unsupported_layout(self) -> str | None:
        """What parts do not go together, each of which would be read."""
        bits, predictor = self.bits, self.number(PREDICTOR, 1)
        simple = self.photometric in (WHITE_IS_0, GREY, _RGB)
        if bits > 8 and not simple and (bits != CONTAINER or self.is_planar):
            return f"of {bits} bits in colour space {self.photometric}"
        if bits < 8 and self.channels > 1:
            return f"of {self.channels} samples of {bits} bits"
        if not COLOURS[self.photometric] <= self.channels <= _MOST_CHANNELS:
            return f"of {self.channels} samples for a pixel"
        subsampled = self.numbers(_SUBSAMPLING, (1, 1)) != (1, 1)
        if self.photometric == _YCBCR and self.compression == _RAW and subsampled:
            return "of YCbCr without compression and with fewer samples of colour"
        if self.has_samples and self.number(_FILL_ORDER, 1) != 1:
            return "whose bits are stored backwards"
        if predictor > 1 and self.compression == _PACKBITS:  # where libtiff overlooks it
            return f"compressed by PackBits with predictor {predictor}"
        if self.has_samples and predictor > 1 and (predictor > 2 or bits % 8):
            return f"of {bits} bits with predictor {predictor}"
        return None

    def check(self) -> None:
        """Raise UnreadableImage where data are missing, or are not what was compressed."""
        for number, segment in enumerate(self.segments()):
            part = memoryview(self.data)[segment.offset : segment.offset + segment.size]
            whole = len(part) == segment.size
            if self.compression == _RAW:
                whole = whole and segment.size >= segment.unpacked
            elif self.compression in _DEFLATES:
                whole = whole and _inflates(part, segment)
            if not whole:
                raise UnreadableImage(
                    f"The image is truncated or corrupt: part {number} at byte {segment.offset} of "
                    f"{len(self.data)} is not whole."
                )
            if self.compression == 7:
                strip_or_tile = self._with_tables(part)
                jpeg.refuse_unsupported(strip_or_tile)
                jpeg.check(strip_or_tile)

    def _with_tables(self, part: memoryview) -> bytes:
        """A strip or tile as a JPEG of its own."""
        with decoder_errors():
            tables = self.tags.get(_JPEG_TABLES)
        return tables[:-2] + bytes(part[2:]) if isinstance(tables, bytes) else bytes(part)

    def segments(self) -> list[Segment]:
        """All strips or tiles, plane by plane."""
        (width, height), tiled = self.size, self.is_tiled
        offsets = self.numbers(TILES if tiled else STRIPS)
        sizes = self.numbers(TILE_SIZES if tiled else STRIP_SIZES, ())
        side = self.number(TILE_WIDTH) if tiled else width
        rows = self.number(TILE_HEIGHT) if tiled else min(self.number(ROWS, height), height)
        down, planes = -(-height // rows), self.channels if self.is_planar else 1
        count = -(-width // side) * down * planes
        if len(offsets) < count:
            raise UnreadableImage(
                f"The image is truncated or corrupt: it lists {len(offsets)} of {count} parts."
            )
        line = -(-side * (self.channels // planes) * self.stored_bits // 8)
        if line * rows > max(_LARGE_PART, 4 * width * height * self.channels):
            raise UnreadableImage(
                f"The image is truncated or corrupt: a tile of {side} x {rows} is too large for "
                f"{width} x {height} pixels."
            )
        segments = []
        for i, offset in enumerate(offsets[:count]):
            here = rows if tiled else min(rows, height - i % down * rows)
            size = sizes[i] if i < len(sizes) else 0  # which old writers leave out
            size = size or (line * here if self.compression == _RAW else len(self.data) - offset)
            segments.append(Segment(offset, size, line * here, line * rows))
        return segments

    @property
    def is_tiled(self) -> bool:
        """Whether the parts are tiles, not strips."""
        return TILES in self.tags

    @property
    def bits(self) -> int:
        """Bits of a sample, which are as many for all channels."""
        return self.numbers(BITS, (1,))[0]

    @property
    def stored_bits(self) -> int:
        """Bits that a sample takes: some writers declare fewer than 16 of which they fill 16."""
        if self.bits % 8 == 0 or self.bits < 8 or self.compression != _RAW or self.is_tiled:
            return self.bits
        width, height = self.size
        size = sum(self.numbers(STRIP_SIZES, ()))
        return CONTAINER if size == width * height * self.channels * 2 else self.bits

    @property
    def compression(self) -> int:
        """How data are compressed, as the tag numbers it."""
        return self.number(COMPRESSION, _RAW)

    @property
    def photometric(self) -> int:
        """What the channels are, as the tag numbers it."""
        return self.number(PHOTOMETRIC, WHITE_IS_0)

    @property
    def channels(self) -> int:
        """Samples of a pixel."""
        return self.number(SAMPLES, 1)

    @property
    def is_planar(self) -> bool:
        """Whether channels lie behind each other instead of side by side."""
        return self.channels > 1 and self.number(_PLANAR, 1) == 2

    @property
    def extra(self) -> tuple[int, ...]:
        """What the channels beside the colours are, as the tag numbers it."""
        return self.numbers(_EXTRA, ())

    def number(self, tag: int, default: int | None = None) -> int:
        """The first number of a tag, of a size 1 or more; raises UnreadableImage."""
        numbers = self.numbers(tag, None if default is None else (default,))
        if not numbers or (numbers[0] == 0 and tag in _SIZES):
            raise UnreadableImage(f"The image is truncated or corrupt: tag {tag} is {numbers}.")
        return numbers[0]

    def numbers(self, tag: int, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """All numbers of a tag, 0 or more; raises UnreadableImage."""
        with decoder_errors():
            value = self.tags.get(tag, default)
        values = value if isinstance(value, tuple) else (value,)
        if not all(isinstance(number, int) and number >= 0 for number in values):
            raise UnreadableImage(f"The image is truncated or corrupt: tag {tag} is {value!r:.80}.")
        return cast(tuple[int, ...], values)


def _inflates(part: memoryview, segment: Segment) -> bool:
    """Whether data unpack to what they should, by their checksum: libtiff does not get that far."""
    stream = zlib.decompressobj()
    try:
        unpacked = len(stream.decompress(part, segment.most + 1))
    except zlib.error:
        return False
    return stream.eof and segment.unpacked <= unpacked <= segment.most
