from collections.abc import Iterator

import pytest

from rig.cameras import Rtsp, rtsp


@pytest.fixture(scope="session")
def stream() -> Iterator[Rtsp]:
    """A camera that streams, for tests that leave it as it is."""
    with rtsp() as camera:
        yield camera
