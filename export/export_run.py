"""From a run to a published model version, in four steps; what is quick to refuse comes first."""

from __future__ import annotations

import tempfile
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from importlib.metadata import version as package_version
from pathlib import Path

import torch
from torch import Tensor

from export.repository import (
    ModelSpec,
    TritonBackend,
    add_version,
    model_config,
    publish,
    require_compatible,
)
from export.to_onnx import write_onnx
from export.verify import verify
from service.repository import Verification
from training.checkpoint import Checkpoint, load, load_verification_images
from training.gauge import Gauge
from training.progress import Progress


def export_run(
    run: Path,
    repository: Path,
    name: str,
    triton_backend: TritonBackend = "onnxruntime",
    max_batch_size: int = 8,
    *,
    candidate: bool = False,
) -> int:
    """Export `run` as the next version of model `name` and return its number.

    A candidate is added, but not served before somebody publishes it. Nothing is added when the
    file disagrees with torch (VerificationError) or the repository cannot take it
    (RepositoryError); then the repository is as it was.
    """
    progress = Progress()
    checkpoint = load(run)
    height, width = checkpoint.evidence.maps.shape[1:]
    spec = ModelSpec(
        name=name,
        image_size=(checkpoint.config.image_size, checkpoint.config.image_size),
        map_size=(height, width),
        max_batch_size=max_batch_size,
        triton_backend=triton_backend,
        provenance=provenance(checkpoint, run),
    )
    require_compatible(repository, model_config(spec))
    gauge = checkpoint.gauge()
    spec = replace(spec, provenance=spec.provenance | rescoring(gauge, checkpoint))
    images = load_verification_images(run)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.onnx"
        write_onnx(gauge, checkpoint.config.image_size, model)
        agreement = verify(gauge, model, images, max_batch_size)
        progress.say(
            f"verified on {agreement.images} images: scores within {agreement.score:.1g}, maps "
            f"within {agreement.anomaly_map:.1g} of torch, no decision changed; "
            f"{model.stat().st_size / 1e6:.1f} MB"
        )
        exported = {**spec.provenance, "model_digest": _digest(model)}
        config = model_config(replace(spec, provenance=exported))
        version = add_version(repository, config, model, _verification(gauge, images))
    if not candidate:
        publish(repository, name, version)
    return version


def rescoring(gauge: Gauge, checkpoint: Checkpoint) -> dict[str, str]:
    """What it takes to score a part of a picture, or one that is cut.

    Of tiles `tile_size` and `tile_overlap`; else `score_pixels`, and `calibration_scores` as base64
    of float32 in rising order.
    """
    if tiling := checkpoint.config.tiling:
        return tiling.parameters()
    maps = checkpoint.evidence.maps
    scores = gauge.calibration.scores.numpy().astype("<f4")
    return {
        "score_pixels": str(gauge.scoring.pixels(maps)),
        "calibration_scores": b64encode(scores.tobytes()).decode(),
    }


@torch.inference_mode()
def _verification(gauge: Gauge, images: Tensor) -> Verification:
    """The most normal and the most anomalous of the images, for a gateway to verify itself by."""
    reading = gauge(images)
    chosen = [int(reading.score.argmin()), int(reading.score.argmax())]
    return Verification(
        images[chosen].numpy(), reading.score[chosen].numpy(), reading.novelty[chosen].numpy()
    )


def provenance(checkpoint: Checkpoint, run: Path) -> dict[str, str]:
    """Where a model comes from and what it promises, as strings for config.pbtxt."""
    config = checkpoint.config
    told = {
        "alignment": config.alignment,
        "backbone": config.backbone,
        "calibration_images": str(checkpoint.calibration_images),
        "checkpoint_digest": _digest(run / "checkpoint.json"),
        "detector": config.detector,
        "false_alarm_rate": f"{checkpoint.false_alarm_rate:.6g}",
        "novelty_rate": f"{checkpoint.novelty_rate:.6g}",
        "onegauge_version": package_version("onegauge"),
        "training_digest": checkpoint.training_digest,
        "training_images": str(checkpoint.images),
    }
    if checkpoint.calibrated_at:
        told["calibrated_at"] = str(checkpoint.calibrated_at)
    return told


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
