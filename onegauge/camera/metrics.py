"""What Prometheus gets to know of a camera."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from onegauge.camera.errors import CameraError
from onegauge.camera.quality import DETAILS, Look

TAKEN, MISSED, NOT_TAKEN, UNWRITTEN = "taken", "missed", "not_taken", "unwritten"
OUTCOMES = (TAKEN, *DETAILS, MISSED, NOT_TAKEN, UNWRITTEN)


class Metrics:
    """Counted from the start of the command."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counted = "Frames that a moment or a trigger asked for, by what became of them"
        self._frames = Counter(
            "onegauge_camera_frames", counted, ["outcome"], registry=self.registry
        )
        for outcome in OUTCOMES:  # each from 0 on, or its first would be no increase
            self._frames.labels(outcome)
        self.connected = self._gauge("connected", "Whether the camera is there")
        self.waiting = self._gauge("waiting_frames", "Frames that have no decision so far")
        self._sharpness = self._gauge("sharpness", "Of the last frame, 0 to 1")
        self._highlights = self._gauge("highlights", "Of the last frame, 0 to 255")
        self._clipped = self._gauge("clipped_share", "White pixels of the last frame, 0 to 1")

    def count(self, outcome: str) -> None:
        """A frame that came to this."""
        self._frames.labels(outcome).inc()

    def show(self, look: Look) -> None:
        """What was measured of the last frame."""
        self._sharpness.set(look.sharpness)
        self._highlights.set(look.highlights)
        self._clipped.set(look.clipped)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(f"onegauge_camera_{name}", meaning, registry=self.registry)


@contextmanager
def served(metrics: Metrics, address: str | None) -> Iterator[None]:
    """Answer Prometheus at `HOST:PORT` while the block lasts, if given; raises CameraError."""
    if address is None:
        yield
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise CameraError(f"--metrics is like 127.0.0.1:9108, not {address!r}")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), metrics.registry)
    except OSError as exc:
        raise CameraError(f"--metrics {address}: {exc.strerror}") from exc
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
