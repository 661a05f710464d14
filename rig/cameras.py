"""Cameras of this machine: a stream of GStreamer's RTSP server, and Aravis' GigE camera."""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import numpy as np
from numpy.typing import NDArray

from rig import Missing
from rig.address import POLL_EVERY_S, free_address

PYTHON = "/usr/bin/python3"  # of the system, as the bindings are
SERVER = Path(__file__).with_name("rtsp_server.py")
BINDINGS = "import gi; gi.require_version('GstRtspServer', '1.0')"
FAKE_CAMERA, CAMERA_TOOL = "arv-fake-gv-camera-0.8", "arv-tool-0.8"
GIGE_SIDE = 128  # pixels
GIGE_ADDRESS = "127.0.0.1"
LOCK = Path(tempfile.gettempdir()) / "onegauge-fake-camera.lock"


class Rtsp:
    """A camera that streams; it wants a password."""

    def __init__(self, kind: str) -> None:
        """`rig/rtsp_server.py` tells the kinds; raises Missing."""
        if subprocess.run([PYTHON, "-c", BINDINGS], capture_output=True, check=False).returncode:
            packages = "python3-gi gir1.2-gst-rtsp-server-1.0"
            raise Missing(f"GStreamer's RTSP server is not installed: apt-get install {packages}")
        self.address = free_address()
        self.url = f"rtsp://user:secret@{self.address}/line"
        self._kind = kind
        self.start()

    def start(self) -> None:
        """Return once it takes connections."""
        port = self.address.rpartition(":")[2]
        command = [PYTHON, str(SERVER), port, self._kind]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._process.stdout.readline() == b"ready\n"

    def kill(self) -> None:
        """As if its cable were cut."""
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def pause(self) -> None:
        """It stays connected, and sends nothing."""
        self._process.send_signal(signal.SIGSTOP)


@contextmanager
def rtsp(kind: str = "clock") -> Iterator[Rtsp]:
    """A camera that streams while the block lasts; raises Missing."""
    camera = Rtsp(kind)
    try:
        yield camera
    finally:
        camera.kill()


def age_s(frame: NDArray[np.uint8]) -> float:
    """How old a frame of a `clock` is that is looked at now."""
    grey = frame if frame.ndim == 2 else frame[..., 1]
    fields = grey[30::60, 20::40].reshape(-1)  # the middle of each
    shown = sum(1 << bit for bit, field in enumerate(fields) if field > 127)
    return ((int(monotonic() * 1000) - shown) & 0xFFFFFFFF) / 1000


class Gige:
    """A camera at GIGE_ADDRESS."""

    def __init__(self, lost_per_thousand: int) -> None:
        self._command = [FAKE_CAMERA, "-i", GIGE_ADDRESS, "-r", str(lost_per_thousand)]
        self.start()

    def start(self) -> None:
        """Return once it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        deadline = monotonic() + 20
        while self.feature("DeviceModelName") != "Fake":
            assert monotonic() < deadline, "the camera does not answer"
            sleep(POLL_EVERY_S)
        for side in ("Width", "Height"):  # few packets, or a busy machine loses some of them
            self.feature(f"{side}={GIGE_SIDE}")

    def kill(self) -> None:
        """As if its cable were cut."""
        self._process.kill()
        self._process.wait()

    def feature(self, name: str) -> str:
        """What it has as a feature, or gets by NAME=VALUE, read by a tool of Aravis."""
        command = [CAMERA_TOOL, "-a", GIGE_ADDRESS, "control", name]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return told.partition(" = ")[2].strip()


@contextmanager
def gige(lost_per_thousand: int = 0) -> Iterator[Gige]:
    """Aravis' fake camera, alone on the machine while the block lasts; raises Missing."""
    import fcntl

    if not all(map(shutil.which, (FAKE_CAMERA, CAMERA_TOOL))):
        packages = "aravis-tools aravis-tools-cli"
        raise Missing(f"Aravis' camera is not installed: apt-get install {packages}")
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # GigE Vision has one port
        camera = Gige(lost_per_thousand)
        try:
            yield camera
        finally:
            camera.kill()
