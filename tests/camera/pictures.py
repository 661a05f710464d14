"""Frames as a camera would take them."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = (240, 320)


def sharp(number: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """Parts with edges on a grey ground; another one for each number."""
    random = np.random.default_rng(number)
    frame = np.full((*size, 3), 90, np.uint8)
    for x, y, grey in random.integers((0, 0, 100), (size[1] - 40, size[0] - 30, 220), (8, 3)):
        cv2.rectangle(frame, (int(x), int(y)), (int(x) + 40, int(y) + 30), [int(grey)] * 3, -1)
    noise = random.normal(0, 2, frame.shape)
    return np.clip(frame + noise, 0, 255).astype(np.uint8)


def blurred(number: int) -> NDArray[np.uint8]:
    """The same out of focus."""
    return cv2.GaussianBlur(sharp(number), (0, 0), 8)


def video(file: Path, *frames: NDArray[np.uint8]) -> str:
    """A file of video, whose path is a source."""
    height, width = frames[0].shape[:2]
    code = cv2.VideoWriter.fourcc(*"MJPG")
    # not by FFmpeg, which would keep to how much it says here
    writer = cv2.VideoWriter(str(file), cv2.CAP_OPENCV_MJPEG, code, 25, (width, height))
    assert writer.isOpened()
    for frame in frames:
        writer.write(frame)
    writer.release()
    return str(file)
