"""From a run to a published model version, in four steps; what is quick to refuse comes first."""

from __future__ import annotations

import tempfile
from base64 import b64encode
from dataclasses import dataclass, replace
from importlib.metadata import version as package_version
from itertools import repeat
from pathlib import Path

import numpy as np
import onnx
from torch import Tensor

from onegauge.export.errors import ExportError
from onegauge.export.graph import store
from onegauge.export.held_out import HeldOut
from onegauge.export.precision import (
    Precision,
    as_computed_in_half,
    to_half,
    to_int8,
    to_symmetric_int8,
)
from onegauge.export.precision_effect import ALLOWANCES, Effect, measure_effect, sample_of
from onegauge.export.publish import (
    PLAN,
    ModelSpec,
    TritonBackend,
    add_version,
    model_config,
    publish,
    require_compatible,
)
from onegauge.export.recalibration import judged, recalibrate, store_calibration
from onegauge.export.tensorrt import accelerate, build_plan
from onegauge.export.to_onnx import trace
from onegauge.export.verify import verify
from onegauge.library.library import Library
from onegauge.library.likeness import NEIGHBOURS
from onegauge.service.model.repository import MODEL, Verification, model_digest
from onegauge.training.backbones.retrieval import NEW
from onegauge.training.checkpoint import RECORD, Checkpoint, load, load_verification_images
from onegauge.training.config import FRESH, LEAVE_ONE_OUT, SPLIT
from onegauge.training.data.digest import file_digest
from onegauge.training.gauge.gauge import Gauge
from onegauge.training.progress import Progress

SCALING_IMAGES = 128  # of those fitted on, for the scales of int8
# What an exported alignment does where its calibration would otherwise be told the products
SERVED_AS = {"class-aware": "class-aware-training"}


@dataclass(frozen=True)
class Flavour:
    """How a run becomes a file, and who runs it."""

    triton_backend: TritonBackend = "onnxruntime"
    precision: Precision = "fp32"
    tensorrt: bool = False  # inside Triton's ONNX Runtime backend
    images: Path | None = None  # where the training images are now; None: where they were then
    max_batch_size: int = 8

    def __post_init__(self) -> None:
        """Raise ExportError for what does not go together."""
        if self.tensorrt and self.triton_backend != "onnxruntime":
            raise ExportError(
                f"--tensorrt accelerates the backend onnxruntime, not {self.triton_backend}"
            )


def export_run(
    run: Path,
    repository: Path,
    name: str,
    flavour: Flavour = Flavour(),
    *,
    candidate: bool = False,
) -> int:
    """Export `run` as the next version of model `name` and return its number.

    A candidate is added, but not served before somebody publishes it. Nothing is added when the
    file disagrees with torch or its precision costs too much (VerificationError), or the
    repository cannot take it (RepositoryError); then the repository is as it was.
    """
    progress = Progress()
    checkpoint = load(run)
    if checkpoint.recalibrated and flavour.precision != "fp32":
        raise ExportError(
            f"{run} was recalibrated on images that it does not keep, and {flavour.precision} "
            "needs calibration images: export it in fp32"
        )
    library = checkpoint.library() if checkpoint.keeps_library else None
    spec = _spec(checkpoint, run, name, flavour, library)
    require_compatible(repository, model_config(spec))
    gauge = checkpoint.gauge(SERVED_AS.get(checkpoint.config.alignment))
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / MODEL
        _write(gauge, checkpoint, model, flavour, progress)
        digest = model_digest(model.parent)
        found = rescoring(gauge, checkpoint) | {"model_digest": digest}
        config = model_config(replace(spec, provenance=spec.provenance | found))
        plan = None
        if flavour.tensorrt:
            accelerate(config, digest)
        if flavour.triton_backend == "tensorrt":
            plan = Path(folder) / PLAN
            build_plan(model, plan, config)
        verification = _verification(model, load_verification_images(run))
        version = add_version(repository, config, model, verification, plan, library)
    if not candidate:
        publish(repository, name, version)
    return version


def _spec(
    checkpoint: Checkpoint, run: Path, name: str, flavour: Flavour, library: Library | None
) -> ModelSpec:
    """What Triton is told of the version; with a library, of what explains an answer, too."""
    height, width = checkpoint.evidence.maps.shape[1:]
    return ModelSpec(
        name=name,
        image_size=(checkpoint.config.image_size, checkpoint.config.image_size),
        map_size=(height, width),
        max_batch_size=flavour.max_batch_size,
        triton_backend=flavour.triton_backend,
        provenance=provenance(checkpoint, run) | {"precision": flavour.precision},
        explained_by=None if library is None else (NEIGHBOURS, library.memories.shape[2]),
        every_batch_warmed=flavour.tensorrt,
    )


def _write(
    gauge: Gauge, checkpoint: Checkpoint, model: Path, flavour: Flavour, progress: Progress
) -> None:
    """Write the graph to `model`, if smaller calibrated anew, and then the gauge as well."""
    precision, config = flavour.precision, checkpoint.config
    held_out = None if precision == "fp32" else HeldOut.of(checkpoint, flavour.images)
    traced = model.with_name("traced.onnx")
    trace(gauge, config.image_size, traced)
    written = traced if held_out is None else model
    if held_out is not None:
        _write_smaller(traced, model, flavour, held_out)
        recalibrate(model, gauge, held_out)
        effect = _effect(traced, model, precision, held_out)
        store_calibration(traced, gauge)
        progress.say(
            f"{precision} on {effect.images} images, half of them with a synthetic anomaly, and "
            f"calibrated anew on {checkpoint.calibration_images}, each scored as a new one:"
            f" scores differ by {effect.score_median:.1%} in the median and {effect.score_99:.1%} "
            f"in 99 % of them, {effect.flipped} decisions changed near the threshold, AUROC "
            f"{100 * effect.auroc:.2f} instead of {100 * effect.auroc_before:.2f}"
        )
    size = written.stat().st_size
    store(onnx.load(written), model.parent)
    exact = model if held_out is None else traced
    agreement = verify(gauge, exact, load_verification_images(config.out), flavour.max_batch_size)
    progress.say(
        f"verified on {agreement.images} images: scores within {agreement.score:.1g}, maps "
        f"within {agreement.anomaly_map:.1g} of torch, no decision changed; {size / 1e6:.1f} MB"
    )


def _write_smaller(traced: Path, model: Path, flavour: Flavour, held_out: HeldOut) -> None:
    """Write the traced graph in a smaller precision, calibrated as the traced one."""
    if flavour.precision == "int8":
        on_gpu = flavour.tensorrt or flavour.triton_backend == "tensorrt"
        write = to_symmetric_int8 if on_gpu else to_int8
        write(traced, model, held_out.fitted_on(SCALING_IMAGES))
        return
    graph = onnx.load(traced)
    to_half(graph)
    onnx.save(graph, model)


def _effect(traced: Path, model: Path, precision: Precision, held_out: HeldOut) -> Effect:
    """What a smaller precision does; raises VerificationError if it costs much."""
    computed = model
    if precision == "fp16":
        graph = onnx.load(model)
        as_computed_in_half(graph)
        computed = model.with_name("computed.onnx")
        onnx.save(graph, computed)
    return measure_effect(traced, computed, sample_of(held_out), ALLOWANCES[precision])


def rescoring(gauge: Gauge, checkpoint: Checkpoint) -> dict[str, str]:
    """What it takes to score a part of a picture, or one that is cut.

    Of tiles `tile_size` and `tile_overlap`; else `score_pixels`, `calibration_scores` as base64 of
    float32 in rising order, and of a model with a mask `inspected`, base64 of its bits row by row.
    """
    if tiling := checkpoint.config.tiling:
        return tiling.parameters()
    maps = checkpoint.evidence.maps
    scores = gauge.calibration.scores.numpy().astype("<f4")
    told = {
        "score_pixels": str(gauge.scoring.pixels(maps)),
        "calibration_scores": b64encode(scores.tobytes()).decode(),
    }
    if gauge.scoring.inspected is not None:
        packed = np.packbits(gauge.scoring.inspected.numpy())
        told["inspected"] = b64encode(packed.tobytes()).decode()
    return told


def _verification(model: Path, images: Tensor) -> Verification:
    """The most normal and the most anomalous of the images, for a gateway to verify itself by."""
    pictures = images.numpy()[:, np.newaxis]
    score, novelty = judged(model, pictures, repeat(NEW, len(pictures)))
    chosen = [int(score.argmin()), int(score.argmax())]
    return Verification(images[chosen].numpy(), score[chosen], novelty[chosen])


def _calibration(checkpoint: Checkpoint) -> str:
    if checkpoint.recalibrated:
        return FRESH
    return LEAVE_ONE_OUT if checkpoint.evidence.leaves_one_out else SPLIT


def provenance(checkpoint: Checkpoint, run: Path) -> dict[str, str]:
    """Where a model comes from and what it promises, as strings for config.pbtxt."""
    config, evidence = checkpoint.config, checkpoint.evidence
    told = {
        "alignment": config.alignment,
        "backbone": config.backbone,
        "calibrated_at": str(checkpoint.calibrated_at),
        "calibration": _calibration(checkpoint),
        "calibration_images": str(checkpoint.calibration_images),
        "checkpoint_digest": file_digest(run / RECORD),
        "detector": config.detector,
        "false_alarm_rate": str(checkpoint.false_alarm_rate),
        "novelty_rate": str(checkpoint.novelty_rate),
        "onegauge_version": package_version("onegauge"),
        "references": str(len(evidence.references)),
        "training_digest": checkpoint.training_digest,
        "training_images": str(checkpoint.images),
    }
    if config.assume_clean < 1:
        told["assumed_clean"] = str(config.assume_clean)
    return told | checkpoint.depth.parameters()
