"""Which camera a URL means, and what of a URL anybody may see."""

from pathlib import Path
from urllib.parse import urlsplit

from onegauge.camera.errors import CameraError
from onegauge.camera.source import GENICAM, Source


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
