"""What a camera is to the others."""

from typing import Protocol, TypeAlias

from cv2.typing import MatLike

Pixels: TypeAlias = MatLike  # (H, W) grey or (H, W, 3) BGR, of 8 or 16 bits
GENICAM = "genicam:"  # before what names a GenICam camera


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
