import shutil
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import TYPE_FP32, TYPE_UINT8, ModelConfig, ModelQueuePolicy

from onegauge.export.errors import RepositoryError
from onegauge.export.publish import (
    ModelSpec,
    TritonBackend,
    add_version,
    model_config,
    publish,
    rollback,
)
from rig.publishing import add_and_publish


def spec(
    *,
    name: str = "gauge",
    image_size: tuple[int, int] = (32, 48),
    max_batch_size: int = 4,
    triton_backend: TritonBackend = "onnxruntime",
    detector: str = "patchcore",
) -> ModelSpec:
    provenance = {"detector": detector, "false_alarm_rate": "0.01"}
    return ModelSpec(name, image_size, (8, 12), max_batch_size, triton_backend, provenance)


def graph(folder: Path, content: bytes = b"graph") -> Path:
    file = folder / "exported.onnx"
    file.write_bytes(content)
    return file


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every path below `folder` with its content; None for folders."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def published_config(repository: Path) -> ModelConfig:
    return text_format.Parse((repository / "gauge" / "config.pbtxt").read_text(), ModelConfig())


def test_config_states_the_tensors():
    config = model_config(spec())
    inputs = [(i.name, i.data_type, list(i.dims)) for i in config.input]
    assert inputs == [("image", TYPE_UINT8, [32, 48, 3])]
    assert {o.data_type for o in config.output} == {TYPE_FP32}
    outputs = {o.name: (list(o.dims), o.HasField("reshape")) for o in config.output}
    scalars = ("score", "p_value", "raw_score", "normal_location", "normal_scale", "novelty")
    assert outputs == {"anomaly_map": ([8, 12], False)} | dict.fromkeys(scalars, ([1], True))
    assert not any(o.reshape.shape for o in config.output)


def test_config_bounds_the_queue_and_rejects_what_waits_too_long():
    policy = model_config(spec()).dynamic_batching.default_queue_policy
    assert policy.timeout_action == ModelQueuePolicy.REJECT
    assert policy.default_timeout_microseconds > 0
    assert policy.allow_timeout_override
    assert policy.max_queue_size >= 4


@pytest.mark.parametrize(("max_batch_size", "warmed"), [(4, [1, 4]), (1, [1])])
def test_config_warms_the_smallest_and_the_largest_batch(max_batch_size, warmed):
    config = model_config(spec(max_batch_size=max_batch_size))
    assert [w.batch_size for w in config.model_warmup] == warmed
    assert all(list(w.inputs["image"].dims) == [32, 48, 3] for w in config.model_warmup)


def test_the_published_text_is_the_config_and_names_the_version(tmp_path):
    add_and_publish(tmp_path, model_config(spec()), graph(tmp_path))
    served = model_config(spec())
    served.version_policy.specific.versions[:] = [1]
    assert published_config(tmp_path) == served
    assert (tmp_path / "gauge" / "config.pbtxt").read_text().startswith("# ")


def test_versions_count_up_and_older_ones_stay(tmp_path):
    config = model_config(spec())
    assert add_and_publish(tmp_path, config, graph(tmp_path, b"first")) == 1
    first = tree(tmp_path / "gauge" / "1")
    assert add_and_publish(tmp_path, config, graph(tmp_path, b"second")) == 2
    assert first["model.onnx"] == b"first"
    assert tree(tmp_path / "gauge" / "1") == first
    assert tree(tmp_path / "gauge" / "2")["model.onnx"] == b"second"


def test_a_new_version_is_above_all_others(tmp_path):
    add_and_publish(tmp_path, model_config(spec()), graph(tmp_path))
    (tmp_path / "gauge" / "1").rename(tmp_path / "gauge" / "10")
    (tmp_path / "gauge" / "notes").mkdir()
    assert add_and_publish(tmp_path, model_config(spec()), graph(tmp_path)) == 11


def test_a_version_is_added_without_being_served(tmp_path):
    add_and_publish(tmp_path, model_config(spec()), graph(tmp_path))
    before = published_config(tmp_path)
    assert add_version(tmp_path, model_config(spec(detector="revdist")), graph(tmp_path)) == 2
    assert published_config(tmp_path) == before


def test_an_earlier_version_is_served_again_with_its_own_promises(tmp_path):
    for detector in ("patchcore", "revdist", "uniad"):
        add_and_publish(tmp_path, model_config(spec(detector=detector)), graph(tmp_path))
    assert rollback(tmp_path, "gauge") == 2
    config = published_config(tmp_path)
    assert config.parameters["detector"].string_value == "revdist"
    assert config.version_policy.specific.versions == [2]
    assert rollback(tmp_path, "gauge") == 1
    with pytest.raises(RepositoryError, match="version 1 of gauge .* is the first there is"):
        rollback(tmp_path, "gauge")


def test_a_version_that_was_taught_goes_back_to_what_it_came_of(tmp_path):
    add_and_publish(tmp_path, model_config(spec()), graph(tmp_path))
    taught = model_config(spec())
    taught.parameters["parent_version"].string_value = "1"
    assert add_version(tmp_path, taught, graph(tmp_path)) == 2  # and was withdrawn
    assert add_and_publish(tmp_path, taught, graph(tmp_path)) == 3
    assert rollback(tmp_path, "gauge") == 1
    publish(tmp_path, "gauge", 3)
    shutil.rmtree(tmp_path / "gauge" / "1")
    assert rollback(tmp_path, "gauge") == 2  # what else


def test_a_shadow_is_loaded_beside_the_served_version(tmp_path):
    for detector in ("patchcore", "revdist"):
        add_and_publish(tmp_path, model_config(spec(detector=detector)), graph(tmp_path))
    publish(tmp_path, "gauge", 1, beside=[2])
    assert published_config(tmp_path).version_policy.specific.versions == [1, 2]


def test_an_unknown_version_is_named_with_those_that_there_are(tmp_path):
    add_and_publish(tmp_path, model_config(spec()), graph(tmp_path))
    with pytest.raises(RepositoryError, match="no version 7, only 1"):
        publish(tmp_path, "gauge", 7)


def test_a_new_version_brings_its_provenance_and_limits(tmp_path):
    add_and_publish(tmp_path, model_config(spec(detector="patchcore")), graph(tmp_path))
    add_and_publish(
        tmp_path, model_config(spec(detector="revdist", max_batch_size=8)), graph(tmp_path)
    )
    config = published_config(tmp_path)
    assert config.parameters["detector"].string_value == "revdist"
    assert config.max_batch_size == 8


def test_the_python_backend_gets_its_model_beside_the_graph(tmp_path):
    add_and_publish(tmp_path, model_config(spec(triton_backend="python")), graph(tmp_path))
    assert published_config(tmp_path).backend == "python"
    version = tree(tmp_path / "gauge" / "1")
    assert sorted(version) == ["config.pbtxt", "model.onnx", "model.py"]
    compile(version["model.py"], "model.py", "exec")


def test_nothing_else_is_left_in_the_repository(tmp_path):
    add_and_publish(tmp_path / "repository", model_config(spec()), graph(tmp_path))
    assert sorted(tree(tmp_path / "repository")) == [
        "gauge",
        "gauge/1",
        "gauge/1/config.pbtxt",
        "gauge/1/model.onnx",
        "gauge/config.pbtxt",
    ]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"image_size": (64, 48)}, r"image: .*dims: \[32, 48, 3\] → .*dims: \[64, 48, 3\]"),
        ({"triton_backend": "python"}, "backend: onnxruntime → python"),
    ],
    ids=["size", "backend"],
)
def test_an_incompatible_model_of_the_same_name_is_refused(tmp_path, changed, told):
    add_and_publish(tmp_path, model_config(spec()), graph(tmp_path))
    before = tree(tmp_path)
    with pytest.raises(
        RepositoryError, match=rf"gauge.*another name\. Different: {told}$"
    ) as error:
        add_and_publish(tmp_path, model_config(spec(**changed)), graph(tmp_path))
    assert "score" not in str(error.value)  # only what differs
    assert tree(tmp_path) == before


def test_an_output_that_only_one_of_them_has_is_named(tmp_path):
    older = model_config(spec())
    del older.output[-1]
    add_and_publish(tmp_path, older, graph(tmp_path))
    with pytest.raises(RepositoryError, match="Different: anomaly_map: none → "):
        add_and_publish(tmp_path, model_config(spec()), graph(tmp_path))


def test_a_damaged_config_is_refused_by_name(tmp_path):
    (tmp_path / "gauge" / "1").mkdir(parents=True)
    (tmp_path / "gauge" / "1" / "config.pbtxt").write_text("max_batch_size: many")
    with pytest.raises(RepositoryError, match=r"gauge.*config\.pbtxt"):
        add_version(tmp_path, model_config(spec()), graph(tmp_path))


def test_a_graph_that_cannot_be_copied_leaves_nothing_behind(tmp_path):
    with pytest.raises(RepositoryError, match=r"missing\.onnx"):
        add_and_publish(
            tmp_path, model_config(spec(triton_backend="python")), tmp_path / "missing.onnx"
        )
    assert tree(tmp_path) == {}


def test_a_config_that_cannot_be_written_leaves_what_was_served(tmp_path):
    add_and_publish(tmp_path, model_config(spec()), graph(tmp_path))
    add_version(tmp_path, model_config(spec()), graph(tmp_path))
    (tmp_path / "gauge" / "config.pbtxt").unlink()
    (tmp_path / "gauge" / "config.pbtxt").mkdir()  # a folder cannot be replaced by a file
    before = tree(tmp_path)
    with pytest.raises(RepositoryError, match="cannot publish version 2 .* still is"):
        publish(tmp_path, "gauge", 2)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", ["", "../gauge", "a/b", ".hidden", "two words"])
def test_a_name_that_is_no_folder_name_is_refused(name):
    with pytest.raises(RepositoryError, match="model name"):
        spec(name=name)


def test_a_model_without_batches_is_refused():
    with pytest.raises(RepositoryError, match="max_batch_size 0"):
        spec(max_batch_size=0)
