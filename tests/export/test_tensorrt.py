from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

from onegauge.export.errors import ExportError
from onegauge.export.publish import ModelSpec, model_config
from onegauge.export.tensorrt import accelerate, build_plan

# Of the README of Triton's ONNX Runtime backend, and ONNX Runtime's page of TensorRT
DOCUMENTED = {
    *("precision_mode", "max_workspace_size_bytes", "trt_engine_cache_enable"),
    *("trt_engine_cache_path", "trt_timing_cache_enable", "trt_timing_cache_path"),
    *("trt_layer_norm_fp32_fallback", "trt_profile_min_shapes", "trt_profile_opt_shapes"),
    *("trt_profile_max_shapes",),
}


def config() -> ModelConfig:
    spec = ModelSpec("gauge", (32, 48), (8, 12), 4, "onnxruntime", {}, every_batch_warmed=True)
    made = model_config(spec)
    accelerate(made, "0123456789abcdef" * 4)
    return made


def test_config_is_one_that_triton_reads():
    made = config()
    assert text_format.Parse(text_format.MessageToString(made), ModelConfig()) == made


def test_profiles_cover_every_batch_and_keys_are_documented():
    (accelerator,) = config().optimization.execution_accelerators.gpu_execution_accelerator
    assert accelerator.name == "tensorrt"
    assert set(accelerator.parameters) <= DOCUMENTED
    assert accelerator.parameters["trt_profile_min_shapes"] == "image:1x32x48x3"
    assert accelerator.parameters["trt_profile_opt_shapes"] == "image:2x32x48x3"
    assert accelerator.parameters["trt_profile_max_shapes"] == "image:4x32x48x3"


def test_engines_are_kept_by_the_models_digest():
    (accelerator,) = config().optimization.execution_accelerators.gpu_execution_accelerator
    assert accelerator.parameters["trt_engine_cache_path"] == "/engines/0123456789abcdef"


def test_one_instance_and_every_batch_is_warmed():
    made = config()
    assert [(g.kind, g.count) for g in made.instance_group] == [(ModelInstanceGroup.KIND_GPU, 1)]
    assert [warmup.batch_size for warmup in made.model_warmup] == [1, 2, 3, 4]


def test_without_trtexec_it_tells_where_a_plan_is_built(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExportError, match="TensorRT container"):
        build_plan(tmp_path / "model.onnx", tmp_path / "model.plan", config())


def test_what_trtexec_complains_of_is_told(tmp_path: Path, monkeypatch):
    program = tmp_path / "trtexec"
    program.write_text("#!/bin/sh\necho 'no CUDA device' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExportError, match="no CUDA device"):
        build_plan(tmp_path / "model.onnx", tmp_path / "model.plan", config())
