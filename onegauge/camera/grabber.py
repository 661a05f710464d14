"""The camera's thread: at each moment a frame, through the gate, into the folder."""

from dataclasses import dataclass
from threading import Event
from time import monotonic

import cv2
import numpy as np

from onegauge.camera.errors import CameraAway, DamagedFrame, NoMoreFrames
from onegauge.camera.frames import Frames
from onegauge.camera.metrics import MISSED, NOT_TAKEN, TAKEN, UNWRITTEN, Metrics
from onegauge.camera.quality import Gate
from onegauge.camera.source import Pixels, Source
from onegauge.camera.trigger import Moment, Trigger
from onegauge.pauses import Pauses, Trouble, say

LOOK_S = 0.2  # how often to look whether the camera is there, and whether to end
PAUSES = Pauses(0.5, 10.0)


@dataclass(frozen=True)
class Encoding:
    """How a frame becomes a file."""

    suffix: str
    parameters: tuple[int, ...]

    def bytes_of(self, pixels: Pixels) -> bytes:
        """The file."""
        return cv2.imencode(self.suffix, pixels, self.parameters)[1].tobytes()


LOSSLESS = Encoding(".png", (cv2.IMWRITE_PNG_COMPRESSION, 1))
COMPACT = Encoding(
    ".jpg",
    (
        cv2.IMWRITE_JPEG_QUALITY,
        95,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ),
)


class Grabber:
    """One camera and one folder."""

    def __init__(
        self,
        source: Source,
        trigger: Trigger,
        gate: Gate,
        frames: Frames,
        metrics: Metrics,
        *,
        lossless: bool = False,
        pauses: Pauses = PAUSES,
    ) -> None:
        self._source, self._trigger, self._gate = source, trigger, gate
        self._frames, self._metrics = frames, metrics
        self._lossless = lossless
        self._is_open = False
        self._away, self._missing = Trouble(pauses), Trouble(pauses)
        self._full, self._unwritable = Trouble(pauses), Trouble(pauses)
        self._stop = Event()
        self.failure: Exception | None = None

    def run(self, stop: Event) -> None:
        """Take frames until `stop`, or until no more come; `failure` then says why, if it failed.

        A failure sets `stop`.
        """
        self._stop = stop
        try:
            while not stop.is_set():
                self._turn()
        except NoMoreFrames as exc:
            say(f"{exc}: what waits is inspected, then this ends")
        except Exception as exc:  # raised again where this thread is waited for
            self.failure = exc
            stop.set()
        finally:
            self._source.close()
            self._frames.ended.set()

    def _turn(self) -> None:
        try:
            if not self._is_open and not self._open():
                self._stop.wait(LOOK_S)
                return
            moment = self._trigger.wait(LOOK_S)
            if moment is None:
                self._source.check()
            else:
                self._grab(moment)
        except CameraAway as exc:
            self._source.close()
            self._is_open = False
            self._metrics.connected.set(0)
            self._away.begins(f"no frames come: {exc}")

    def _open(self) -> bool:
        """Whether the camera is there."""
        if self._away.waits():
            return False
        self._source.open()
        self._is_open = True
        self._metrics.connected.set(1)
        self._away.ends(f"{self._source.name} is there again")
        return True

    def _grab(self, moment: Moment) -> None:
        within_s = moment.until - monotonic()
        try:
            pixels = self._source.take(within_s) if within_s > 0 else None
        except DamagedFrame as exc:
            self._miss(str(exc))
            return
        if pixels is not None:
            self._missing.ends("frames come again")
            self._take(pixels, moment.part)
        elif moment.is_sure:
            self._miss("no frame came in time" + (f" of part {moment.part}" if moment.part else ""))
        else:
            self._source.check()

    def _miss(self, why: str) -> None:
        self._metrics.count(MISSED)
        self._missing.begins(f"{self._source.name}: {why}")

    def _take(self, pixels: Pixels, part: str | None) -> None:
        if self._frames.is_full():
            self._metrics.count(NOT_TAKEN)
            self._full.begins("no more frames are taken: too many wait for the gateway")
            return
        self._full.ends("frames are taken again")
        look, fault = self._gate.judge(pixels)
        self._metrics.show(look)
        is_lossless = self._lossless or pixels.dtype != np.uint8  # JPEG has 8 bits
        encoding = LOSSLESS if is_lossless else COMPACT
        try:
            self._frames.put(encoding.bytes_of(pixels), encoding.suffix, part, fault)
        except OSError as exc:
            self._metrics.count(UNWRITTEN)
            self._unwritable.begins(f"frames are lost: {exc.filename}: {exc.strerror}")
            return
        self._metrics.count(fault.problem if fault else TAKEN)
        self._unwritable.ends("frames are written again")
