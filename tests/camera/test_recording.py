import numpy as np
import pytest

from onegauge.camera.errors import CameraError, NoMoreFrames
from onegauge.camera.recording import Recording
from tests.camera.pictures import sharp, video


def test_each_moment_takes_the_next_frame_of_a_file_to_its_end(tmp_path):
    frames = [sharp(number) for number in range(3)]
    recording = Recording(tmp_path / video(tmp_path / "a.avi", *frames))
    recording.open()
    for frame in frames:
        found = recording.take(1.0)
        recording.check()
        assert found is not None
        assert np.abs(found.astype(int) - frame).mean() < 3  # it was compressed
    with pytest.raises(NoMoreFrames, match=r"a\.avi has ended"):
        recording.take(1.0)
    recording.close()


def test_a_file_that_is_no_video_is_refused(tmp_path):
    (tmp_path / "a.avi").write_bytes(b"no video")
    with pytest.raises(CameraError, match=r"a\.avi is no video"):
        Recording(tmp_path / "a.avi")
