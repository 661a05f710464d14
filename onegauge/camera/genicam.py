"""A GenICam camera, by GigE or USB: each frame is triggered, by software or by its own input."""

from contextlib import suppress

import cv2
import numpy as np

from onegauge.camera.aravis import Aravis, Image
from onegauge.camera.errors import CameraAway, CameraError
from onegauge.camera.source import GENICAM, Pixels

SOFTWARE = "Software"
BUFFERS = 4
UNANSWERED = 3  # triggers in a row without a frame, and it is connected anew
# Pixel formats by their number in the PFNC: type of a value, values of a pixel, way to BGR
FORMATS = {
    0x01080001: (np.uint8, 1, None),  # Mono8
    0x01100007: (np.uint16, 1, None),  # Mono16
    0x02180014: (np.uint8, 3, cv2.COLOR_RGB2BGR),  # RGB8
    0x01080008: (np.uint8, 1, cv2.COLOR_BayerGRBG2BGR),  # BayerGR8
    0x01080009: (np.uint8, 1, cv2.COLOR_BayerRGGB2BGR),  # BayerRG8
    0x0108000A: (np.uint8, 1, cv2.COLOR_BayerGBRG2BGR),  # BayerGB8
    0x0108000B: (np.uint8, 1, cv2.COLOR_BayerBGGR2BGR),  # BayerBG8
}


class Genicam:
    """By its address, its serial number or its name; without one the first that is found."""

    def __init__(self, device: str, line: str | None) -> None:
        """Raises CameraError where the library is not installed."""
        self.name = f"{GENICAM}{device}"
        self._device = device.encode() or None
        self._trigger = line or SOFTWARE
        self._aravis = Aravis()
        self._camera = self._stream = 0
        self._answers = False
        self._unanswered = 0

    def open(self) -> None:
        """Connect, and have it wait for triggers; raises CameraAway."""
        call = self._aravis.call
        try:
            self._answers, self._unanswered = True, 0
            self._camera = call("arv_camera_new", self._device)
            call("arv_camera_set_trigger", self._camera, self._trigger.encode())
            self._stream = call("arv_camera_create_stream", self._camera, None, None)
            size = call("arv_camera_get_payload", self._camera)
            for _ in range(BUFFERS):
                buffer = call("arv_buffer_new_allocate", size)
                call("arv_stream_push_buffer", self._stream, buffer)
            call("arv_camera_start_acquisition", self._camera)
        except CameraAway as exc:
            self.close()
            raise CameraAway(f"{self.name}: {exc}") from exc

    def take(self, within_s: float) -> Pixels | None:
        """The frame of a trigger now, or of the next one of its input.

        Raises CameraAway and DamagedFrame.
        """
        call = self._aravis.call
        if self._trigger == SOFTWARE:
            while late := call("arv_stream_try_pop_buffer", self._stream):
                call("arv_stream_push_buffer", self._stream, late)  # of an earlier trigger
            self._try("arv_camera_software_trigger", self._camera)
        buffer = call("arv_stream_timeout_pop_buffer", self._stream, int(within_s * 1e6))
        try:
            image = self._aravis.image(buffer) if buffer else None
        finally:
            if buffer:
                call("arv_stream_push_buffer", self._stream, buffer)
        if image is None:
            self._note_silence()
            return None
        self._unanswered = 0
        return pixels_of(image)

    def check(self) -> None:
        """Ask it something; raises CameraAway."""
        self._try("arv_camera_get_string", self._camera, b"TriggerSource")

    def close(self) -> None:
        """Disconnect, so that others may have it."""
        if self._stream and self._answers:  # else it would take seconds
            with suppress(CameraAway):
                self._aravis.call("arv_camera_stop_acquisition", self._camera)
        for held in (self._stream, self._camera):
            if held:
                self._aravis.call("g_object_unref", held)
        self._camera = self._stream = 0

    def _try(self, name: str, *arguments: object) -> None:
        try:
            self._aravis.call(name, *arguments)
        except CameraAway as exc:
            self._answers = False
            raise CameraAway(f"{self.name}: {exc}") from exc

    def _note_silence(self) -> None:
        self._unanswered += self._trigger == SOFTWARE
        if self._unanswered >= UNANSWERED:
            raise CameraAway(f"{self.name}: triggers by software bring no frames")


def pixels_of(image: Image) -> Pixels:
    """Grey or BGR; raises CameraError for a pixel format that is not read."""
    if image.pixel_format not in FORMATS:
        hint = "set PixelFormat to Mono8, Mono16, RGB8 or a Bayer format of 8 bits"
        raise CameraError(f"the pixel format 0x{image.pixel_format:08x} is not read: {hint}")
    kind, values, way = FORMATS[image.pixel_format]
    shape = (image.height, image.width, values)[: 3 if values > 1 else 2]
    pixels = np.frombuffer(image.data, kind, count=int(np.prod(shape))).reshape(shape)
    return pixels if way is None else cv2.cvtColor(pixels, way)
