"""The command for a GPU, on tiny counts by the CPU: each part measures, or says what is absent."""

from dataclasses import replace

import pytest
import torch

from bench.gpu import Plan, alone, before_triton, by_onnx, by_tensorrt, by_torch, outcome
from bench.support.devices import CUDA, InHalf, OnnxRuntime, gpu
from bench.support.servers import Served
from rig import Missing
from tests.bench.raising import raising

pytestmark = pytest.mark.skipif(bool(gpu()), reason="this machine has a GPU")


@pytest.fixture
def plan(trained_run, trained_repository):
    return Plan(Served(trained_repository), trained_run, 0.01, (1, 3), 64)


@pytest.mark.parametrize("part", [by_onnx, by_torch])
def test_a_runtime_has_rates_in_both_precisions(part, plan):
    found = part(plan)
    assert [*found] == [
        f"{precision}, {what}"
        for precision in ("fp32", "fp16")
        for what in ("products", "batch of 1", "batch of 3")
    ]
    for what, figures in found.items():
        assert all(figure > 0 for figure in figures.values()), what


def test_a_share_is_of_the_rate_of_products(plan):
    found = by_onnx(plan)
    for precision in ("fp32", "fp16"):
        of = [
            found[f"{precision}, batch of {batch}"]["of_products"]
            / found[f"{precision}, batch of {batch}"]["images_per_s"]
            for batch in (1, 3)
        ]
        assert of[0] == pytest.approx(of[1], rel=0.01)


def test_only_the_backbone_of_torch_is_in_half():
    layer = torch.nn.Conv2d(3, 4, 1)
    seen = []
    layer.register_forward_hook(lambda _layer, _input, output: seen.append(output.dtype))
    (stage,) = InHalf(torch.nn.Sequential(layer, torch.nn.Flatten(0, 0)))(torch.zeros(1, 3, 2, 2))
    assert seen == [torch.float16]
    assert stage.dtype == torch.float32


def test_what_is_absent_is_told(plan):
    assert outcome(raising, Missing("no TensorRT")) == {"absent": "no TensorRT"}
    with pytest.raises(Missing, match="this ONNX Runtime has no TensorRT"):
        by_tensorrt(plan)
    with pytest.raises(Missing, match="--run names no run"):
        by_torch(replace(plan, run=None))


def test_a_part_that_fails_is_told():
    assert outcome(raising, RuntimeError("out of memory")) == {"failed": "out of memory"}


def test_a_gpu_that_onnx_runtime_cannot_use_is_not_the_cpu_instead(plan):
    unavailable = pytest.warns(UserWarning, match=f"'{CUDA}' is not in available")
    with unavailable, pytest.raises(Missing, match=f"cannot load {CUDA}"):
        OnnxRuntime(plan.model.file, CUDA).product("fp32", 8)


def test_a_gateway_has_rates_by_connections(plan):
    found = alone(replace(plan, seconds=1))
    assert [*found] == ["8 connections", "64 connections"]
    assert all(figures["p50_ms"] > 0 for figures in found.values())


@pytest.mark.triton
def test_a_triton_stands_beside_the_gateway_before_it(plan):
    found = before_triton(replace(plan, seconds=1))
    assert [*found] == ["8 connections", "64 connections", "Triton alone"]
    assert found["8 connections"]["p50_ms"] > 0
