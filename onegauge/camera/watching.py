"""The command `onegauge watch --source`: a camera, and the folder that gets its frames."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread

from onegauge.camera.errors import CameraError
from onegauge.camera.frames import Frames
from onegauge.camera.grabber import Grabber
from onegauge.camera.metrics import Metrics, served
from onegauge.camera.quality import Bounds, Gate
from onegauge.camera.trigger import trigger_of
from onegauge.camera.url import source_of
from onegauge.client.client import Client, key_of_environment
from onegauge.client.watch.arrivals import Pace
from onegauge.client.watch.journal import held
from onegauge.client.watch.watch import Station, Watch

PACE = Pace(look_s=0.02, settled_s=0.0)  # a frame's file is whole when it comes
END_WITHIN_S = 1.0  # for the thread of a camera that gives no answer


@dataclass(frozen=True)
class Camera:
    """What the options say of a camera."""

    url: str
    every_s: float | None = None
    trigger: str | None = None  # `-` for lines of standard input, else an input of the camera
    views: int | None = None  # of a part, by all cameras together
    view: str | None = None  # the name of this camera
    keep: bool = False  # frames that are normal
    max_waiting: int = 1000  # frames
    metrics: str | None = None
    lossless: bool = False
    bounds: Bounds = field(default_factory=Bounds)


def watch_camera(station: Station, url: str, camera: Camera) -> None:
    """Inspect what a camera shows until SIGINT or SIGTERM, or until it or its trigger ends.

    Raises ClientError and CameraError.
    """
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with held(station.jsonl), Client(url, api_key=key_of_environment(), pause=stop.wait) as client:
        run(station, client, camera, stop)


def run(station: Station, client: Client, camera: Camera, stop: Event) -> None:
    """The same, until `stop`."""
    if camera.views and camera.trigger != "-":
        raise CameraError("--views needs parts: give --trigger -, whose lines tell them")
    if not station.folder.exists():
        station.folder.mkdir(parents=True)
    line = None if camera.trigger == "-" else camera.trigger
    source, trigger = source_of(camera.url, line), trigger_of(camera.every_s, camera.trigger)
    views, keep = {"views": camera.views, "view": camera.view}, camera.keep
    frames = Frames(station.folder, camera.max_waiting, keep=keep, views=views)
    metrics = Metrics()
    metrics.waiting.set_function(frames.count)
    gate, lossless = Gate(camera.bounds), camera.lossless
    grabber = Grabber(source, trigger, gate, frames, metrics, lossless=lossless)
    with served(metrics, camera.metrics):
        watch = Watch(station, client, PACE, frames)
        frames.begin(watch.backlog())
        with _beside(grabber, stop):
            watch.run(stop)
    if grabber.failure:
        raise grabber.failure


@contextmanager
def _beside(grabber: Grabber, stop: Event) -> Iterator[None]:
    """The camera's thread runs while the block lasts."""
    # the library of a camera may hang: then it must not keep the process
    thread = Thread(target=grabber.run, args=(stop,), name="camera", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(END_WITHIN_S)
