"""Names as clients write them: text of an unknown encoding, and the file names of forms."""

import re
from email.errors import HeaderParseError
from email.header import decode_header
from urllib.parse import unquote_to_bytes

_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_EXTENDED = re.compile(rb";\s*filename\*\s*=\s*[\w!#$%&+^`{}~.-]*'[^';\s]*'([^;\s]*)", re.I)
_ENCODED = re.compile(r"=\?[^?\s]+\?[bq]\?.*\?=", re.I)
_ESCAPED = {"%22": '"', "%0D": "\r", "%0A": "\n", "%0d": "\r", "%0a": "\n"}  # by browsers
_WINDOWS_PATH = re.compile(r"[A-Za-z]:\\|\\")  # or of a share, whose slashes were escapes
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def text_of(data: bytes) -> str:
    """Text in UTF-8, or else in latin-1, as old clients send it."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def file_name(disposition: bytes, plain: bytes | None) -> str | None:
    """The file name of a part, of its `Content-Disposition` and the `filename` in it.

    `filename*` (RFC 8187) is preferred; a `filename` may be an encoded word (RFC 2047), as .NET
    writes it, and of a Windows path the last part counts. Control characters become U+FFFD.
    """
    if extended := _EXTENDED.search(_QUOTED.sub(b"", disposition)):
        name = text_of(unquote_to_bytes(extended[1]))
    else:
        name = _plain_name(text_of(plain or b""))
    if _WINDOWS_PATH.match(name):
        name = name.rpartition("\\")[2]
    return _CONTROL.sub("\ufffd", name) or None


def _plain_name(name: str) -> str:
    if not _ENCODED.fullmatch(name):
        return re.sub("%(?:22|0[AaDd])", lambda escaped: _ESCAPED[escaped[0]], name)
    try:
        words = decode_header(name)
    except HeaderParseError:
        return name
    return "".join(word if isinstance(word, str) else text_of(word) for word, _ in words)
