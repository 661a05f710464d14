"""What the gateway's image is: small, not root, and writing nothing."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from rig.container import Container, buildah, container, image_config

pytestmark = pytest.mark.image

SAMPLES = Path(__file__).parents[1] / "docs" / "samples"
MOST_BYTES = 400e6
OF_THE_ENGINE = {"etc/hosts", "etc/resolv.conf"}


@pytest.fixture(scope="module")
def box() -> Iterator[Container]:
    with container() as made:
        yield made


def files_of(root: Path) -> dict[str, int]:
    """Every file of a container, and when it was written."""
    return {
        str(path.relative_to(root)): path.lstat().st_mtime_ns
        for path in root.rglob("*")
        if path.is_file() and path.relative_to(root).parts[0] not in ("proc", "sys", "dev")
    }


def gateway_pids() -> list[int]:
    """Processes that the image's Python runs."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                command = (folder / "cmdline").read_bytes()
            except OSError:  # it has ended meanwhile
                continue
            if command.startswith(b"/opt/onegauge/bin/python") and b"onegauge\0serve" in command:
                found.append(int(folder.name))
    return found


def test_gateway_answers_is_not_root_and_writes_nothing(box):
    before = files_of(box.root)
    with box.gateway({"ONEGAUGE_API_KEYS": "off"}) as (url, process):
        (served,) = gateway_pids()
        status = Path(f"/proc/{served}/status").read_text()
        assert "Uid:\t10001\t10001\t10001\t10001" in status
        for name, decision in (("board-normal", "normal"), ("ring-chip", "anomalous")):
            files = [("image", (SAMPLES / f"{name}.jpg").read_bytes())]
            answer = httpx.post(f"{url}/v1/inspect", files=files, params={"map": "overlay"})
            assert answer.json()["results"][0]["decision"] == decision
        kind, *check = image_config()["Healthcheck"]["Test"]
        assert kind == "CMD"
        port = url.rpartition(":")[2]
        buildah("run", f"--env=ONEGAUGE_PORT={port}", box.name, "--", *check)
        os.kill(served, 15)
        assert process.wait(20) == 0
    written = {name for name, _ in files_of(box.root).items() ^ before.items()}
    assert written <= OF_THE_ENGINE


def test_image_holds_the_gateway_alone_and_is_small(box):
    files = [path.lstat() for path in box.root.rglob("*") if path.is_file()]
    assert sum(file.st_size for file in files) <= MOST_BYTES
    packages = {path.name for path in box.root.glob("opt/onegauge/lib/python3*/site-packages/*")}
    assert not packages & {"torch", "timm", "scipy", "sklearn", "pip"}
