"""GenICam cameras: Aravis' own, by GigE Vision on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import pytest

from onegauge.camera import aravis
from onegauge.camera.aravis import Image
from onegauge.camera.errors import CameraAway, CameraError, DamagedFrame
from onegauge.camera.genicam import UNANSWERED, Genicam, pixels_of
from rig.cameras import GIGE_ADDRESS, gige
from tests.camera.pictures import sharp


@contextmanager
def opened(line: str | None = None) -> Iterator[Genicam]:
    camera = Genicam(GIGE_ADDRESS, line)
    camera.open()
    try:
        yield camera
    finally:
        camera.close()


def feature(camera: Genicam, name: str) -> str:
    """What the camera has now."""
    return camera._aravis.call("arv_camera_get_string", camera._camera, name.encode()).decode()


def taken(camera: Genicam) -> np.ndarray:
    """A frame; this camera at times forgets where to send frames, and is connected anew then."""
    for _ in range(10):
        try:
            frame = camera.take(0.5)
        except (CameraAway, DamagedFrame):
            camera.close()
            camera.open()
            continue
        if frame is not None:
            return frame
    raise AssertionError("no frame comes")


def test_each_frame_is_triggered_by_software():
    with gige(), opened() as camera:
        camera.check()
        assert feature(camera, "TriggerMode") == "On"
        assert feature(camera, "TriggerSource") == "Software"
        frames = [taken(camera) for _ in range(3)]
    assert {(frame.shape, str(frame.dtype)) for frame in frames} == {((128, 128), "uint8")}
    assert len({frame.tobytes() for frame in frames}) == 3


@pytest.mark.parametrize("name", ["", "Aravis-Fake-GV01"])
def test_a_camera_is_found_by_its_name_or_as_the_only_one(name):
    with gige():
        camera = Genicam(name, None)
        camera.open()
        camera.check()
        assert feature(camera, "DeviceModelName") == "Fake"
        camera.close()


def test_an_input_triggers_the_camera_itself():
    # its input is nowhere, so that no frame comes
    with gige(), opened("Line0") as camera:
        assert feature(camera, "TriggerMode") == "On"
        assert feature(camera, "TriggerSource") == "Line0"
        assert camera.take(0.3) is None
        camera.check()


@pytest.mark.parametrize(
    ("name", "kind"), [("Mono16", "uint16"), ("RGB8", "uint8"), ("BayerGR8", "uint8")]
)
def test_pixels_are_those_of_the_format_that_the_camera_is_set_to(name, kind):
    with gige() as device:
        device.feature(f"PixelFormat={name}")
        with opened() as camera:
            frame = taken(camera)
    assert frame.dtype == kind
    assert frame.shape == ((128, 128) if name == "Mono16" else (128, 128, 3))
    if name != "Mono16":  # it begins blue, and has no red there
        blue, _, red = frame[100, 60]
        assert blue > 200
        assert red < 50


@pytest.mark.parametrize(
    ("pixel_format", "red"),
    [(0x01080008, (0, 1)), (0x01080009, (0, 0)), (0x0108000A, (1, 0)), (0x0108000B, (1, 1))],
    ids=["BayerGR8", "BayerRG8", "BayerGB8", "BayerBG8"],
)
def test_a_mosaic_gets_the_colours_that_it_was_made_of(pixel_format, red):
    colours = cv2.GaussianBlur(sharp(0), (0, 0), 4)
    colours[..., 0] //= 2
    colours[..., 2] //= 4
    mosaic = colours[..., 1].copy()  # of the PFNC: a pixel of red, one of blue beside it crosswise
    mosaic[red[0] :: 2, red[1] :: 2] = colours[red[0] :: 2, red[1] :: 2, 2]
    mosaic[1 - red[0] :: 2, 1 - red[1] :: 2] = colours[1 - red[0] :: 2, 1 - red[1] :: 2, 0]
    height, width = mosaic.shape
    found = pixels_of(Image(mosaic.tobytes(), width, height, pixel_format))
    assert np.abs(found.astype(int) - colours)[8:-8, 8:-8].max() < 12


def test_a_pixel_format_that_is_not_read_is_named():
    with pytest.raises(CameraError, match="0x01100005 is not read: set PixelFormat to Mono8"):
        pixels_of(Image(b"", 0, 0, 0x01100005))


def test_a_camera_that_goes_and_comes_back():
    with gige() as device, opened() as camera:
        taken(camera)
        device.kill()
        with pytest.raises(CameraAway, match=f"genicam:{GIGE_ADDRESS}: .* timeout"):
            camera.check()
        device.start()
        camera.close()
        camera.open()
        assert taken(camera) is not None


def test_a_camera_that_does_not_answer_to_triggers_is_away():
    with gige(), opened() as camera:
        camera._aravis.call("arv_camera_set_trigger", camera._camera, b"Line0")  # nothing comes
        for _ in range(UNANSWERED - 1):
            assert camera.take(0.05) is None
        with pytest.raises(CameraAway, match="triggers by software bring no frames"):
            camera.take(0.05)


def test_a_frame_that_lost_packets_is_damaged():
    with gige(lost_per_thousand=300), opened() as camera:
        damaged = 0
        while not damaged:
            try:
                camera.take(0.5)
            except DamagedFrame as exc:
                damaged += "a frame came incomplete" in str(exc)


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(aravis, "NAME", "aravis-of-nobody")
    with pytest.raises(CameraError, match="apt-get install libaravis-0.8-0"):
        Genicam("", None)
