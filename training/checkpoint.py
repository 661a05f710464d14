"""A trained run on disk, the hand-over to evaluation and export: safetensors and JSON, no pickle.

    RUN/checkpoint.json          configuration and provenance
    RUN/checkpoint.safetensors   backbone, detector, and what was calibrated
    RUN/references.safetensors   maps and descriptors of reference and calibration images
    RUN/verification.safetensors a few images on which an export is compared with torch

A run is calibrated once, when it is trained. As the references stay with it, any other alignment
and rate can be had of it as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from onegauge.library.conformal import carried
from onegauge.library.library import FORM, Library, Origin, Rates, packed, unpacked
from onegauge.service.imaging.depth import Depth
from onegauge.training.backbones.backbone import Backbone, load_backbone
from onegauge.training.config import TrainConfig
from onegauge.training.data.digest import data_digest, file_digest
from onegauge.training.detectors import DETECTORS, Detector
from onegauge.training.errors import CheckpointError
from onegauge.training.gauge.alignments import ALIGNMENTS
from onegauge.training.gauge.evidence import Evidence
from onegauge.training.gauge.gauge import DECIDED, Gauge, build_gauge, keeps_library
from onegauge.training.resume import whole

PATHS = {"data", "out", "backbone_weights", "mask"}
RECORD = "checkpoint.json"
WEIGHTS = "checkpoint.safetensors"
REFERENCES = "references.safetensors"
VERIFICATION = "verification.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A run: what was fitted, on what, and how."""

    config: TrainConfig
    backbone: Backbone
    detector: Detector
    evidence: Evidence
    decided: Mapping[str, Tensor]  # on the images held out, as `Gauge.decided`
    training_digest: str
    images: int  # pictures that the detector was fitted on
    calibrated_at: int  # seconds since 1970
    depth: Depth  # of training files of more than 8 bits
    origins: tuple[Origin, ...]  # of the evidence's pictures, with names below `config.data`
    fitted_files: tuple[str, ...]  # what the detector was fitted on, by these names
    left_out: tuple[str, ...]  # what was taken for defective, the most suspicious first
    recalibrated: bool = False  # on fresh images, which are not kept

    def gauge(self, alignment: str | None = None, false_alarm_rate: float | None = None) -> Gauge:
        """The whole graph as the run decided, or calibrated for another alignment or target rate.

        Raises CheckpointError for an alignment that there is not.
        """
        name = alignment or self.config.alignment
        if name not in ALIGNMENTS:
            raise CheckpointError(f"no alignment {name!r}; there are {', '.join(ALIGNMENTS)}")
        rate = false_alarm_rate or self.config.false_alarm_rate
        config = replace(self.config, alignment=name, false_alarm_rate=rate)
        decided = self.decided if config == self.config else None
        return build_gauge(config, self.backbone, self.detector, self.evidence, decided)

    @property
    def keeps_library(self) -> bool:
        """Whether images can be added and removed without training."""
        return keeps_library(self.config, self.evidence)

    def library(self) -> Library:
        """The normal images of the run, of which it `keeps_library`."""
        evidence, detector = self.evidence, self.detector
        arrays = {name: tensor.numpy() for name, tensor in evidence.tensors().items()}
        for name in ("memories", "usual", "places"):
            arrays[name] = getattr(detector, name).numpy()
        config = self.config
        rates = Rates(config.false_alarm_rate, config.novelty_rate, config.score_share)
        return Library(
            thumbnails=unpacked(arrays),
            products=evidence.products,
            origins=self.origins,
            rates=rates,
            **arrays,
        )

    def with_library(self, library: Library) -> Checkpoint:
        """The same run with other normal images; it decides as before."""
        arrays = {field.name: getattr(library, field.name) for field in fields(library)}
        arrays |= packed(library.thumbnails)
        tensors = {n: torch.from_numpy(a) for n, a in arrays.items() if isinstance(a, np.ndarray)}
        state = self.detector.state_dict()
        own = {name: tensors.pop(name) for name in ("memories", "usual", "places")}
        own["plain"] = state["plain"][:0]  # which fitting alone needs
        pictures = sorted({*library.pictures[library.references].tolist()})
        used = [library.origins[picture] for picture in pictures]
        return replace(
            self,
            detector=restore_detector(self.config.detector, self.backbone, {**state, **own}),
            evidence=Evidence(**tensors, products=library.products),
            origins=library.origins,
            images=len(used),
            fitted_files=tuple(origin.name for origin in used),
            training_digest=data_digest((origin.name, origin.digest) for origin in used),
        )

    @property
    def calibration_files(self) -> dict[str, str]:
        """SHA-256 of each held-out file by its name, in the order of the evidence."""
        pictures = self.evidence.pictures[self.evidence.held_out].unique().tolist()
        return {self.origins[picture].name: self.origins[picture].digest for picture in pictures}

    @property
    def calibration_images(self) -> int:
        """How many pictures were calibrated on, each of another part."""
        return len(self.decided["calibration.scores"])

    @property
    def false_alarm_rate(self) -> float:
        """What the calibration images carry of the target rate."""
        return carried(self.config.false_alarm_rate, self.calibration_images)

    @property
    def novelty_rate(self) -> float:
        """What the images that novelty is calibrated on carry of its target rate."""
        return carried(self.config.novelty_rate, self.evidence.calibration_images)


def save(checkpoint: Checkpoint, verification: Tensor, folder: Path | None = None) -> None:
    """Write the run into its folder, `checkpoint.json` last: where it is, the run is whole.

    `verification` are uint8 images (V, H, W, 3) for the export to prove itself on. Another `folder`
    may take its place later.
    """
    out, evidence = folder or checkpoint.config.out, checkpoint.evidence
    tensors = {**checkpoint.decided}
    for name in ("backbone", "detector"):
        state = getattr(checkpoint, name).state_dict()
        tensors |= {f"{name}.{key}": value for key, value in state.items()}
    _save_tensors(tensors, out / WEIGHTS)
    _save_tensors(evidence.tensors(), out / REFERENCES)
    _save_tensors({"images": verification}, out / VERIFICATION)
    config = asdict(checkpoint.config)
    record = {
        "form": FORM,
        "config": {k: str(v) if k in PATHS and v else v for k, v in config.items()},
        "training_digest": checkpoint.training_digest,
        "images": checkpoint.images,
        "calibrated_at": checkpoint.calibrated_at,
        "bit_depth": checkpoint.depth.bits,
        "origins": checkpoint.origins,
        "fitted_files": checkpoint.fitted_files,
        "recalibrated": checkpoint.recalibrated,
        "left_out": checkpoint.left_out,
        "products": evidence.products,
        "digests": {name: file_digest(out / name) for name in (WEIGHTS, REFERENCES, VERIFICATION)},
    }
    with whole(out / RECORD) as file:
        file.write_text(json.dumps(record, indent=1) + "\n")


def load(run: Path) -> Checkpoint:
    """Read a run. Raises CheckpointError when a file is missing, damaged or of another run."""
    try:
        record = json.loads((run / RECORD).read_text())
        for name, digest in record["digests"].items():
            if file_digest(run / name) != digest:
                raise CheckpointError(
                    f"{run / name} is damaged: its digest is not the recorded one"
                )
        config = _config(record["config"], run)
        return _restored(record, config, load_file(run / WEIGHTS), load_file(run / REFERENCES))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as exc:
        raise CheckpointError(f"{run} is not a finished run: {exc}; train it first") from exc


def _restored(
    record: Mapping[str, Any],
    config: TrainConfig,
    weights: dict[str, Tensor],
    references: dict[str, Tensor],
) -> Checkpoint:
    if config.detector not in DETECTORS:
        raise CheckpointError(
            f"{config.out} has a detector that is unknown here: {config.detector!r}"
        )
    if record.get("form") != FORM:
        raise CheckpointError(
            f"{config.out} is of an onegauge with another form of alignment, whose thresholds "
            "do not hold for this one; train it anew"
        )
    backbone = bare_backbone(config)
    state = _part(weights, "backbone.")
    _require_same_tensors(backbone, state, f"backbone {config.backbone}")
    backbone.load_state_dict(state)
    return Checkpoint(
        config=config,
        backbone=backbone,
        detector=restore_detector(config.detector, backbone, _part(weights, "detector.")),
        evidence=Evidence(**references, products=tuple(record["products"])),
        decided={name: weights[name] for name in DECIDED},
        training_digest=record["training_digest"],
        images=record["images"],
        calibrated_at=record["calibrated_at"],
        depth=Depth(record["bit_depth"]),
        origins=tuple(Origin(*origin) for origin in record["origins"]),
        fitted_files=tuple(record["fitted_files"]),
        recalibrated=record["recalibrated"],
        left_out=tuple(record["left_out"]),
    )


def load_verification_images(run: Path) -> Tensor:
    """The images uint8 (V, H, W, 3) that an export of this run is verified on."""
    return load_file(run / VERIFICATION)["images"]


def bare_backbone(config: TrainConfig) -> Backbone:
    """The backbone of a run without the weights that it was pretrained to."""
    return load_backbone(
        config.backbone,
        config.stages,
        image_size=config.image_size,
        recentred=config.recentred,
        pretrained=False,
    )


def restore_detector(name: str, backbone: Backbone, state: dict[str, Tensor]) -> Detector:
    """Detector `name` with its state; buffers take the size that they were saved with.

    Raises CheckpointError when the state is not what this version of the detector has.
    """
    detector = DETECTORS[name](backbone)
    _require_same_tensors(detector, state, name)
    for key, buffer in detector.named_buffers():
        if buffer.shape != state[key].shape:
            setattr(detector, key, torch.empty_like(state[key]))
    detector.load_state_dict(state)
    return detector.eval()


def _require_same_tensors(module: nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    if other := sorted(module.state_dict().keys() ^ state.keys()):
        raise CheckpointError(
            f"the run is of an older onegauge, whose {name} differs in {', '.join(other[:3])}; "
            "train it anew"
        )


def _save_tensors(tensors: Mapping[str, Tensor], file: Path) -> None:
    save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, file)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _config(record: dict[str, Any], run: Path) -> TrainConfig:
    values = {k: Path(v) if k in PATHS and v else v for k, v in record.items()}
    lists = {k: tuple(v) for k, v in values.items() if isinstance(v, list)}
    return TrainConfig(**{**values, **lists, "out": run})
