"""The functions of the library Aravis that a triggered camera needs: GenICam by GigE and USB.

https://aravisproject.github.io/aravis has their reference. Its errors become CameraAway.
"""

import ctypes
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint, c_uint32, c_uint64, c_void_p
from ctypes.util import find_library
from dataclasses import dataclass
from typing import Any

from onegauge.camera.errors import CameraAway, CameraError, DamagedFrame

NAME = "aravis-0.8"
SUCCESS, CLEARED = 0, 1  # of a buffer: it has a frame, it never got anything


class _GError(ctypes.Structure):
    _fields_ = (("domain", c_uint32), ("code", c_int), ("message", c_char_p))


_ERROR = POINTER(POINTER(_GError))
# Result and arguments of each; those that end with _ERROR tell by it that they failed
FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "arv_camera_new": (c_void_p, c_char_p, _ERROR),
    "arv_camera_set_trigger": (None, c_void_p, c_char_p, _ERROR),
    "arv_camera_software_trigger": (None, c_void_p, _ERROR),
    "arv_camera_get_string": (c_char_p, c_void_p, c_char_p, _ERROR),
    "arv_camera_get_payload": (c_uint, c_void_p, _ERROR),
    "arv_camera_create_stream": (c_void_p, c_void_p, c_void_p, c_void_p, _ERROR),
    "arv_camera_start_acquisition": (None, c_void_p, _ERROR),
    "arv_camera_stop_acquisition": (None, c_void_p, _ERROR),
    "arv_stream_push_buffer": (None, c_void_p, c_void_p),
    "arv_stream_timeout_pop_buffer": (c_void_p, c_void_p, c_uint64),
    "arv_stream_try_pop_buffer": (c_void_p, c_void_p),
    "arv_buffer_new_allocate": (c_void_p, c_size_t),
    "arv_buffer_get_status": (c_int, c_void_p),
    "arv_buffer_get_data": (c_void_p, c_void_p, POINTER(c_size_t)),
    "arv_buffer_get_image_width": (c_int, c_void_p),
    "arv_buffer_get_image_height": (c_int, c_void_p),
    "arv_buffer_get_image_pixel_format": (c_uint32, c_void_p),
    "g_object_unref": (None, c_void_p),
    "g_error_free": (None, c_void_p),
}


@dataclass(frozen=True)
class Image:
    """A buffer as it came: its bytes, and how to read them."""

    data: bytes
    width: int
    height: int
    pixel_format: int  # of the PFNC


class Aravis:
    """The library."""

    def __init__(self) -> None:
        """Raises CameraError where it is not installed."""
        path = find_library(NAME)
        try:
            self._library = ctypes.CDLL(path or f"lib{NAME}.so.0")
        except OSError as exc:
            hint = "apt-get install libaravis-0.8-0"
            raise CameraError(f"a source genicam: needs the library Aravis: {hint}") from exc
        for name, (result, *arguments) in FUNCTIONS.items():
            function = getattr(self._library, name)
            function.restype, function.argtypes = result, arguments

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a function; raises CameraAway with what Aravis says."""
        function = getattr(self._library, name)
        if FUNCTIONS[name][-1] is not _ERROR:
            return function(*arguments)
        error = POINTER(_GError)()
        result = function(*arguments, byref(error))
        if error:
            message = (error.contents.message or b"").decode(errors="replace")
            self._library.g_error_free(error)
            raise CameraAway(message)
        return result

    def image(self, buffer: int) -> Image | None:
        """What is in a buffer, if anything is; raises DamagedFrame where it is not whole."""
        status = self.call("arv_buffer_get_status", buffer)
        if status == CLEARED:
            return None
        if status != SUCCESS:
            raise DamagedFrame(f"a frame came incomplete (status {status} of Aravis)")
        size = c_size_t()
        data = self.call("arv_buffer_get_data", buffer, byref(size))
        return Image(
            ctypes.string_at(data, size.value),
            self.call("arv_buffer_get_image_width", buffer),
            self.call("arv_buffer_get_image_height", buffer),
            self.call("arv_buffer_get_image_pixel_format", buffer),
        )
