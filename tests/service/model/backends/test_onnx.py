"""ONNX Runtime: on the GPU that is there, and not on one that is only hoped for."""

import logging
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from onegauge.service.model.backends.onnx import compile_model

GPU, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


def with_gpu_build(monkeypatch: pytest.MonkeyPatch, used: list[str]) -> list[list[str]]:
    """Have onnxruntime-gpu's sessions, which use those; what each is asked for."""
    asked: list[list[str]] = []

    class Session(onnxruntime.InferenceSession):
        def __init__(self, file: Path, options: object, providers: list[str]) -> None:
            super().__init__(file, options, [CPU])
            asked.append(providers)

        def get_providers(self) -> list[str]:
            return used

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [GPU, CPU])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    return asked


def test_a_gpu_that_cannot_be_used_is_told_and_the_cores_do_their_best(
    monkeypatch, caplog, gauge_model
):
    asked = with_gpu_build(monkeypatch, used=[CPU])
    with caplog.at_level(logging.WARNING):
        compiled = compile_model(gauge_model, 2)
    assert not compiled.batching
    assert asked == [[GPU, CPU], [CPU]]  # with all threads alone, with one beside others
    assert "the CPU computes" in caplog.text
    score = compiled.beside(np.zeros((1, 32, 48, 3), np.uint8))["score"]
    assert score == compiled.alone(np.zeros((1, 32, 48, 3), np.uint8))["score"]


def test_a_gpu_takes_batches_and_nothing_is_said(monkeypatch, caplog, gauge_model):
    asked = with_gpu_build(monkeypatch, used=[GPU, CPU])
    with caplog.at_level(logging.WARNING):
        compiled = compile_model(gauge_model, 2)
    assert compiled.batching
    assert compiled.beside is compiled.alone
    assert asked == [[GPU, CPU]]
    assert not caplog.records


def test_without_onnxruntime_gpu_nothing_is_said(caplog, gauge_model):
    with caplog.at_level(logging.WARNING):
        assert not compile_model(gauge_model, 1).batching
    assert not caplog.records
