"""A live stream, or a USB camera, by OpenCV: always the newest frame."""

import os
from threading import Condition, Thread
from time import monotonic

import cv2

from onegauge.camera.errors import CameraAway
from onegauge.camera.freshness import Freshness
from onegauge.camera.source import Pixels

OPEN_WITHIN_MS, READ_WITHIN_MS = 5000, 5000
SILENT_S = 5.0  # without a frame, and it is taken to be away
LATE_FOR_S = 5.0  # then the connection is made anew
CLOSE_WITHIN_S = 0.5  # at the end of the command nobody waits for a camera that is silent
# of FFmpeg; with more threads, its decoder keeps as many frames back
PARAMETERS = [
    cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
    OPEN_WITHIN_MS,
    cv2.CAP_PROP_READ_TIMEOUT_MSEC,
    READ_WITHIN_MS,
    cv2.CAP_PROP_N_THREADS,
    1,
]


class Stream:
    """All that comes is read, by a thread, so that nothing waits in a buffer.

    A frame is kept only when one is wanted.
    """

    def __init__(self, url: str, name: str, silent_s: float = SILENT_S) -> None:
        self.name = name
        self._url = url
        self._silent_s = silent_s
        self._connection: _Connection | None = None

    def open(self) -> None:
        """Connect; raises CameraAway."""
        capture = opened(self._url)
        if not capture.isOpened():
            capture.release()
            raise CameraAway(f"{self.name} cannot be opened")
        self._connection = _Connection(capture)

    def take(self, within_s: float) -> Pixels | None:
        """The first frame that comes from now on; raises CameraAway."""
        assert self._connection, "it has to be opened first"
        frame = self._connection.next(within_s)
        if frame is None:
            self.check()
        return frame

    def check(self) -> None:
        """Raises CameraAway where the stream has ended, or brings nothing."""
        assert self._connection, "it has to be opened first"
        if self._connection.ended:
            raise CameraAway(f"{self.name}: {self._connection.ended}")
        if monotonic() - self._connection.seen > self._silent_s:
            raise CameraAway(f"{self.name}: nothing comes for {self._silent_s:g} s")

    def close(self) -> None:
        """Disconnect."""
        if self._connection:
            self._connection.close()
        self._connection = None


def opened(url: str) -> cv2.VideoCapture:
    """What OpenCV makes of a URL, a device or its number; it says nothing on standard error."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # or each broken packet has a line
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    if "://" in url:  # RTSP by TCP, as OpenCV has FFmpeg do by itself
        return cv2.VideoCapture(url, cv2.CAP_FFMPEG, PARAMETERS)
    return cv2.VideoCapture(int(url) if url.isdecimal() else url)


class _Connection:
    """One that is open, and the thread that reads it."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture
        self._freshness = Freshness()
        self._changed = Condition()
        self._is_wanted = False
        self._frame: Pixels | None = None
        self.ended = ""  # why
        self.seen = monotonic()  # when the last frame came
        # it may hang in the library: then it must not keep the process
        self._thread = Thread(target=self._read, name="camera-stream", daemon=True)
        self._thread.start()

    def next(self, within_s: float) -> Pixels | None:
        """The first fresh frame from now on."""
        with self._changed:
            self._is_wanted, self._frame = True, None
            self._changed.wait_for(lambda: self._frame is not None or self.ended, within_s)
            self._is_wanted = False
            return self._frame

    def close(self) -> None:
        """Have the thread end."""
        self._end("it is closed")
        self._thread.join(CLOSE_WITHIN_S)

    def _end(self, why: str) -> None:
        with self._changed:
            self.ended = self.ended or why
            self._changed.notify_all()

    def _read(self) -> None:
        try:
            while not self.ended:
                self._read_one()
        except cv2.error as exc:
            self._end(f"OpenCV cannot go on: {exc.code}")
        finally:
            self._capture.release()

    def _read_one(self) -> None:
        if not self._capture.grab():
            return self._end("no more frames come")
        now = self.seen = monotonic()
        stamp = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        is_fresh = self._freshness.is_fresh(now, stamp)
        if self._freshness.late_since and now - self._freshness.late_since > LATE_FOR_S:
            return self._end("frames come too late: have it send fewer or smaller ones")
        if is_fresh and self._is_wanted:
            self._keep()
        return None

    def _keep(self) -> None:
        is_whole, frame = self._capture.retrieve()
        with self._changed:
            if is_whole and self._is_wanted:
                self._frame, self._is_wanted = frame, False
                self._changed.notify_all()
