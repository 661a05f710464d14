"""A machine of the cluster that is lost in the middle costs no image, and none is there twice."""

import pytest
import ray

from onegauge.bulk import output
from tests.bulk.conftest import assert_each_once, greys

MANY = 600


@pytest.mark.drill
def test_a_lost_machine_costs_nothing(inspect, tmp_path, monkeypatch, ray_machines):
    files = greys(tmp_path / "parts", MANY)
    second = ray_machines.add_node(num_cpus=2)
    lost = []
    flush = output.Output.flush

    def flush_and_lose(self):
        flush(self)
        if not lost:
            lost.append(ray.nodes())
            ray_machines.remove_node(second, allow_graceful=False)

    monkeypatch.setattr(output, "PART_ROWS", 1)
    monkeypatch.setattr(output.Output, "flush", flush_and_lose)
    assert inspect(tmp_path / "parts") == 2
    assert [node["Alive"] for node in lost[0]] == [True, True]
    assert_each_once(tmp_path / "out", files)
