"""Ray runs while the block lasts, and says in a sentence why it cannot."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import ray

from onegauge.cluster import ClusterError, running_ray
from onegauge.cores import cores
from rig.address import free_address


@ray.remote
def square(number: int) -> int:
    return number * number


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """That of Ray's files: pytest's are too deep for its sockets."""
    with TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        yield Path(folder)


def test_one_of_its_own_has_the_cores_of_this_process_and_leaves_nothing(folder):
    with running_ray():
        assert ray.cluster_resources()["CPU"] == cores()
        assert ray.get([square.remote(number) for number in range(3)]) == [0, 1, 4]
        with running_ray():  # the same
            assert ray.get(square.remote(3)) == 9
        assert ray.is_initialized()
        assert list(folder.iterdir())
    assert not ray.is_initialized()
    assert list(folder.iterdir()) == []


def test_a_cluster_is_joined_and_left_as_it_was(ray_address, monkeypatch):
    for _ in range(2):
        with running_ray(ray_address):
            assert ray.get_runtime_context().gcs_address == ray_address
            assert ray.get(square.remote(4)) == 16
        assert not ray.is_initialized()
    monkeypatch.setenv("RAY_ADDRESS", ray_address)
    with running_ray():
        assert ray.get_runtime_context().gcs_address == ray_address


@pytest.mark.parametrize("address", ["{}", "nobody:6379", "127.0.0.1:65536", "somewhere"])
def test_where_no_cluster_answers_it_says_so_at_once(address):
    address = address.format(free_address())
    with pytest.raises(ClusterError, match=f"no Ray cluster answers at {address}: give HOST:PORT"):
        running_ray(address).__enter__()
    assert not ray.is_initialized()


def test_what_ray_refuses_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    with pytest.raises(ClusterError, match="Ray cannot be used: .*107 bytes"):
        running_ray().__enter__()
    assert list(tmp_path.iterdir()) == []
