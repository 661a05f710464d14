"""A file of video, frame by frame: for trying out what a camera has recorded."""

from pathlib import Path

from onegauge.camera.errors import CameraError, NoMoreFrames
from onegauge.camera.source import Pixels
from onegauge.camera.stream import opened


class Recording:
    """A file; each moment takes its next frame, whatever time lies between."""

    def __init__(self, file: Path) -> None:
        self.name = str(file)
        self._capture = opened(str(file))
        if not self._capture.isOpened():
            raise CameraError(f"{file} is no video that OpenCV can read")

    def open(self) -> None:
        """It is open."""

    def take(self, within_s: float) -> Pixels | None:  # noqa: ARG002
        """The next frame; raises NoMoreFrames after the last."""
        is_there, frame = self._capture.read()
        if not is_there:
            raise NoMoreFrames(f"{self.name} has ended")
        return frame

    def check(self) -> None:
        """A file stays."""

    def close(self) -> None:
        """Close it."""
        self._capture.release()
