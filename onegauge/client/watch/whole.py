"""Whether an image's file is whole, by what its format announces: a writer may pause for long.

Nothing is decoded here, and a whole file may still be damaged.
"""

import struct
from itertools import zip_longest

BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PNG_END = b"IEND\xaeB\x60\x82"  # the last chunk has these bytes in every file
NO_LENGTH = {0x01, *range(0xD0, 0xD9)}  # markers of JPEG that stand alone
SCAN, END = 0xDA, 0xD9
UNCOMPRESSED = (0, 3)  # of BMP, the latter with masks of its colours
# Pairs of tags of TIFF, where pixels begin and how many bytes they have: of strips, and of tiles
PIXELS = ((273, 279), (324, 325))
NUMBERS = {3: "H", 4: "I", 16: "Q"}


def is_whole(data: bytes) -> bool:
    """Whether a file has all the bytes that its format announces; of unknown formats, always."""
    if any(len(data) < len(known) and known.startswith(data) for known in BEGINNINGS):
        return False
    if not any(data[:4]):  # a place on the disk that nothing has been written to so far
        return False
    try:
        return _end(data) <= len(data)
    except (struct.error, IndexError, OverflowError):  # it ends before what tells how long it is
        return False


def _end(data: bytes) -> int:
    """How many bytes it must have."""
    if data.startswith(b"\xff\xd8\xff"):
        return _found(data, b"\xff\xd9", _jpeg_scan(data))
    if data.startswith(b"\x89PNG"):
        return _found(data, PNG_END)
    if data.startswith(b"RIFF"):  # some write the size last, and 0 before
        return 8 + int(struct.unpack_from("<I", data, 4)[0] or len(data))
    if data.startswith(b"BM"):
        return _bmp_end(data)
    if data.startswith((b"II", b"MM")) and data[2:4] in (b"*\0", b"\0*", b"+\0", b"\0+"):
        return _tiff_end(data)
    return 0


def _found(data: bytes, what: bytes, start: int = 0) -> int:
    """Where `what` ends, beyond the end of the file where it is not found."""
    position = data.find(what, start)
    return position + len(what) if position >= 0 else len(data) + 1


def _jpeg_scan(data: bytes) -> int:
    """Where the pixels begin: before that, a thumbnail has an end of its own."""
    position = 2
    while data[position] == 0xFF and data[position + 1] not in (SCAN, END):
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1  # a fill byte
        elif marker in NO_LENGTH:
            position += 2
        else:
            position += 2 + struct.unpack_from(">H", data, position + 2)[0]
    return position


def _bmp_end(data: bytes) -> int:
    size, first_pixel, header = struct.unpack_from("<I4xII", data, 2)
    if header < 40:
        return int(size)
    width, height, bits, compression = struct.unpack_from("<ii2xHI", data, 18)
    row = (abs(width) * bits + 31) // 32 * 4
    pixels = row * abs(height) if compression in UNCOMPRESSED else 0
    return int(max(size, first_pixel + pixels))  # some write 0 as the size


def _tiff_end(data: bytes) -> int:
    """Where the last of its pixels and directories end."""
    order = "<" if data.startswith(b"II") else ">"
    is_big = b"+" in data[2:4]
    directory = struct.unpack_from(order + ("8xQ" if is_big else "4xI"), data)[0]
    ends = {} if directory else {0: len(data) + 1}  # the first directory is written last
    while directory and directory not in ends:  # of each page one
        ends[directory], directory = _page_end(data, order, directory, is_big=is_big)
    return max(ends.values())


def _page_end(data: bytes, order: str, directory: int, *, is_big: bool) -> tuple[int, int]:
    """Where its pixels and its directory end, and where the next directory begins, or 0."""
    count_format, entry_format = ("Q", "HHQ8s") if is_big else ("H", "HHI4s")
    (count,) = struct.unpack_from(order + count_format, data, directory)
    start = directory + struct.calcsize(order + count_format)
    step = struct.calcsize(order + entry_format)
    numbers = {}
    for position in range(start, start + count * step, step):
        tag, kind, length, value = struct.unpack_from(order + entry_format, data, position)
        if kind in NUMBERS:
            form = f"{order}{length}{NUMBERS[kind]}"
            numbers[tag] = _inline_or_far(form, data, value)
    ends = [start + count * step]
    for first, size in PIXELS:
        firsts = numbers.get(first, ())
        ends += map(sum, zip_longest(firsts, numbers.get(size, ())[: len(firsts)], fillvalue=0))
    following = struct.unpack_from(order + ("Q" if is_big else "I"), data, start + count * step)
    return int(max(ends)), following[0]


def _inline_or_far(form: str, data: bytes, value: bytes) -> tuple[int, ...]:
    """Numbers of an entry: in its value, or where that points to."""
    if struct.calcsize(form) <= len(value):
        return struct.unpack_from(form, value)
    (offset,) = struct.unpack(form[0] + ("I" if len(value) == 4 else "Q"), value)
    return struct.unpack_from(form, data, offset)
