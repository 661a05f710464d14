"""What a camera is to the others, and which kind of camera a URL means."""

from pathlib import Path
from typing import Protocol, TypeAlias
from urllib.parse import urlsplit

from cv2.typing import MatLike

from onegauge.camera.errors import CameraError

Pixels: TypeAlias = MatLike  # (H, W) grey or (H, W, 3) BGR, of 8 or 16 bits
GENICAM = "genicam:"


class Source(Protocol):
    """A camera, opened and asked in one thread; `name` can be shown to anybody."""

    name: str

    def open(self) -> None:
        """Connect; raises CameraAway."""

    def take(self, within_s: float) -> Pixels | None:
        """A frame that was taken after the call; None if none came in time.

        Raises CameraAway, DamagedFrame and NoMoreFrames.
        """

    def check(self) -> None:
        """Look, between frames, whether it is still there; raises CameraAway."""

    def close(self) -> None:
        """Disconnect, if it is connected; never fails."""


def source_of(url: str, line: str | None = None) -> Source:
    """The camera at a URL, triggered by its input `line` if one is named; raises CameraError."""
    if url.startswith(GENICAM):
        from onegauge.camera.genicam import Genicam

        return Genicam(url.removeprefix(GENICAM), line)
    if line:
        raise CameraError(f"--trigger {line} is an input of a camera: it needs a source {GENICAM}…")
    if Path(url).is_file():
        from onegauge.camera.recording import Recording

        return Recording(Path(url))
    from onegauge.camera.stream import Stream

    return Stream(url, shown(url))


def shown(url: str) -> str:
    """A URL without all that may be a password: of cameras it may stand anywhere."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else url
