import pytest

from onegauge.camera.errors import CameraError
from onegauge.camera.recording import Recording
from onegauge.camera.stream import Stream
from onegauge.camera.url import shown, source_of
from tests.camera.pictures import sharp, video


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("rtsp://user:secret@10.0.0.7:554/line?a=b", "rtsp://10.0.0.7:554"),
        ("rtsp://10.0.0.7/user=admin_password=secret_channel=1", "rtsp://10.0.0.7"),
        ("rtsps://a:p@ss@camera/", "rtsps://camera"),
        ("/dev/video0", "/dev/video0"),
        ("0", "0"),
    ],
)
def test_a_password_is_not_shown(url, name):
    assert shown(url) == source_of(url).name == name


def test_a_url_tells_what_a_source_is(tmp_path):
    assert isinstance(source_of("rtsp://camera/line"), Stream)
    assert isinstance(source_of("/dev/video77"), Stream)
    assert isinstance(source_of(video(tmp_path / "a.avi", sharp(0))), Recording)


def test_only_a_genicam_camera_has_an_input():
    with pytest.raises(CameraError, match="--trigger Line0 is an input of a camera"):
        source_of("rtsp://user:secret@camera/line", "Line0")
