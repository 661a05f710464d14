"""What foreign decoders raise on bad data, turned into our own errors."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from isal.igzip_lib import IsalError
from PIL.Image import DecompressionBombError

from onegauge.service.errors import TooManyPixels, UnreadableImage

# What Pillow raises on damaged files (a warning where warnings are errors), and what inflates.
DECODER_ERRORS: tuple[type[Exception], ...] = (
    ArithmeticError,
    EOFError,
    cast(type[Exception], IsalError),  # which its stubs have as an instance
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    Warning,
    struct.error,
)


@contextmanager
def decoder_errors() -> Iterator[None]:
    """Turn whatever a decoder raises into ImageError: for calls of a decoder, no code of ours.

    The errors are of so many kinds that a mistake of ours would pass for a damaged file.
    """
    try:
        yield
    except DecompressionBombError as exc:
        raise TooManyPixels(f"The image is far too large: {exc}") from exc
    except DECODER_ERRORS as exc:
        raise UnreadableImage(f"The image is truncated or corrupt: {exc}") from exc
