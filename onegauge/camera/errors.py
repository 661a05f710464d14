"""How a camera fails.

CameraError          only a person can correct it
├── CameraAway       it is not there, or gives nothing for now
├── DamagedFrame     parts of it were lost on the way
└── NoMoreFrames     it has ended, as a file does
"""


class CameraError(Exception):
    """It is for the user to read, and never has a password of a URL."""


class CameraAway(CameraError):
    """Try again later."""


class DamagedFrame(CameraError):
    """It is of no use, and the next one may be whole."""


class NoMoreFrames(CameraError):
    """There is nothing to wait for."""
