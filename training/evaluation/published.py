"""A published model asked about labelled images: the very file that is served, as it decodes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from onegauge.service.imaging.depth import Depth
from onegauge.service.imaging.tiles import Tiling
from onegauge.training.data.dataset import TestImage
from onegauge.training.errors import DataError
from onegauge.training.evaluation.readings import Layout, Subject, read_images, whole_pictures
from onegauge.training.progress import Progress

CONFIG, GRAPH = "config.pbtxt", "model.onnx"
AT_A_TIME = 16  # tiles in one run
OUTPUTS = ("score", "p_value", "raw_score", "novelty", "anomaly_map")


def published_model(folder: Path) -> Path | None:
    """The folder of a model or of one version: this one, or the only model of this repository.

    None if there is none.

    Raises DataError for a repository of several.
    """
    if (folder / CONFIG).is_file():
        return folder
    models = sorted(config.parent for config in folder.glob(f"*/{CONFIG}"))
    if len(models) > 1:
        names = ", ".join(model.name for model in models)
        raise DataError(f"{folder} has several models: name one of {names}, as {models[0]}")
    return models[0] if models else None


def evaluate_published(model: Path, images: Sequence[TestImage], progress: Progress) -> Subject:
    """A version, by default the served one, in ONNX Runtime. Raises DataError for a foreign one."""
    import onnxruntime
    from google.protobuf import text_format
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, InvalidProtobuf
    from tritonclient.grpc.model_config_pb2 import ModelConfig

    try:
        config = text_format.Parse((model / CONFIG).read_text(), ModelConfig())
        graph = _graph(model, list(config.version_policy.specific.versions))
        version = graph.parent.name
        providers = onnxruntime.get_available_providers()
        session = onnxruntime.InferenceSession(graph, providers=providers)
        (image,) = session.get_inputs()
        told = {key: value.string_value for key, value in config.parameters.items()}
        alpha = float(told["false_alarm_rate"])
    except (text_format.ParseError, ValueError, KeyError) as exc:
        raise DataError(f"{model} is not a model that onegauge published: {exc}") from exc
    except (Fail, InvalidArgument, InvalidProtobuf) as exc:
        raise DataError(f"ONNX Runtime cannot load version {version} of {model}: {exc}") from exc
    kept: list[TestImage] = []
    parts, seconds = [], 0.0
    tiling, depth = Tiling.from_parameters(told), Depth.from_parameters(told)
    layouts: list[Layout] = []
    for batch, pictures in read_images(images, image.shape[1], tiling, depth, progress):
        started = time.perf_counter()
        rows = np.concatenate([picture.pixels for picture in pictures])
        for start in range(0, len(rows), AT_A_TIME):
            parts.append(session.run(OUTPUTS, {image.name: rows[start : start + AT_A_TIME]}))
        seconds += time.perf_counter() - started
        kept += batch
        layouts += map(Layout.of, pictures)
    if not kept:
        raise DataError(f"none of the {len(images)} test images can be read")
    columns = (np.concatenate(column) for column in zip(*parts, strict=True))
    readings = dict(zip(("score", "p_value", "raw_score", "novelty", "maps"), columns, strict=True))
    inspected = whole_pictures(kept, readings, layouts, tiling, depth)
    timing = {"time for an image": f"{1000 * seconds / len(kept):.0f} ms in ONNX Runtime"}
    data = {"calibration_scores", "inspected"}
    told = {key: value for key, value in told.items() if key not in data}
    card = {"version": version, **told, **timing}
    return Subject(str(model), told.get("alignment", ""), alpha, 1.0, card, inspected)


def _graph(folder: Path, served: Sequence[int]) -> Path:
    """The graph of a version's folder, or of the version that a model's configuration names.

    Raises ValueError where there is none.
    """
    if (folder / GRAPH).is_file():
        return folder / GRAPH
    present = sorted(int(file.parent.name) for file in folder.glob(f"[0-9]*/{GRAPH}"))
    if not present:
        raise ValueError("it has no version")
    return folder / str(served[0] if served else present[-1]) / GRAPH
