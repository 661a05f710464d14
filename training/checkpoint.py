"""A trained run on disk, the hand-over to evaluation and export: safetensors and JSON, no pickle.

    RUN/checkpoint.json          configuration and provenance
    RUN/checkpoint.safetensors   backbone, detector and the components of places
    RUN/references.safetensors   maps, descriptors, places of reference and calibration images
    RUN/verification.safetensors a few images on which an export is compared with torch

Alignment, calibration and novelty follow from the references and are rebuilt on loading, so that
every alignment can be had of every run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from onegauge.service.imaging.depth import UNKNOWN, Depth
from onegauge.training.backbones.backbone import Backbone, load_backbone
from onegauge.training.backbones.embedding import Embedding
from onegauge.training.config import TrainConfig
from onegauge.training.detectors import DETECTORS, Detector
from onegauge.training.errors import CheckpointError
from onegauge.training.gauge.alignments import ALIGNMENTS, Alignment, Look, References
from onegauge.training.gauge.calibration import Calibration, carried, highest_of
from onegauge.training.gauge.gauge import Gauge
from onegauge.training.gauge.novelty import Novelty
from onegauge.training.gauge.places import Places
from onegauge.training.gauge.scoring import Scoring
from onegauge.training.resume import whole

PATHS = {"data", "out", "backbone_weights", "mask"}
RECORD = "checkpoint.json"
WEIGHTS = "checkpoint.safetensors"
REFERENCES = "references.safetensors"
VERIFICATION = "verification.safetensors"
AT_A_TIME = 64


@dataclass(frozen=True)
class Evidence:
    """Raw maps and looks of normal images: the references, and those held out."""

    maps: Tensor  # (N, h, w) fp16, out of fold
    deviations: Tensor  # (N, D)
    quarters: Tensor  # (N, 4, D)
    places: Tensor  # (N, Q, g, g) int8
    calibration_maps: Tensor  # (n, h, w) fp16
    calibration_deviations: Tensor  # (n, D)
    calibration_quarters: Tensor  # (n, 4, D)
    calibration_places: Tensor  # (n, Q, g, g) int8
    groups: Tensor  # (N,) that each reference is of: those of one part, and tiles of one picture
    calibration_pictures: Tensor  # (n,) that each is a tile of, one of a part
    corrupted: Tensor | None = None  # (N, D) with a synthetic anomaly, if an alignment needs that
    inspected: Tensor | None = None  # (h, w) bool, the pixels of maps that count; None: all


@dataclass(frozen=True)
class Checkpoint:
    """A run: what was fitted, on what, and how."""

    config: TrainConfig
    backbone: Backbone
    detector: Detector
    places: Places
    evidence: Evidence
    products: tuple[str, ...]  # of the references, from the folders' names
    calibration_products: tuple[str, ...]
    training_digest: str
    images: int  # pictures that the detector was fitted on
    calibrated_at: int | None = None  # seconds since 1970; not said by older runs
    depth: Depth = UNKNOWN  # of training files of more than 8 bits
    # SHA-256 of each held-out file by its name below `config.data`, in the order of the evidence;
    # empty where an older run does not say
    calibration_files: Mapping[str, str] = field(default_factory=dict)
    fitted_files: tuple[str, ...] = ()  # likewise, by their names alone

    def gauge(self, alignment: str | None = None, false_alarm_rate: float | None = None) -> Gauge:
        """The whole graph with this alignment and target rate, by default the run's own."""
        config, evidence = self.config, self.evidence
        embedding = Embedding(evidence.deviations)
        aligner = self.aligner(alignment or config.alignment, embedding)
        held_out = aligned_maps(
            aligner,
            evidence.calibration_maps,
            Look(embedding(evidence.calibration_deviations), evidence.calibration_places),
            self.calibration_products,
        )
        return Gauge(
            self.backbone,
            self.detector,
            embedding,
            self.places,
            aligner,
            self.calibration(self.scoring(held_out), false_alarm_rate),
            Novelty(
                evidence.quarters,
                evidence.calibration_quarters,
                config.novelty_rate,
                evidence.calibration_pictures,
                evidence.groups,
            ),
            self.scoring,
        ).eval()

    def calibration(self, aligned: Tensor, false_alarm_rate: float | None = None) -> Calibration:
        """The calibration by aligned scores (n,) of what was held out, images or tiles."""
        scores = highest_of(aligned, self.evidence.calibration_pictures)
        return Calibration.of(scores, false_alarm_rate or self.config.false_alarm_rate)

    def require(self, alignment: str) -> None:
        """Raise CheckpointError for an alignment that this run cannot have."""
        if alignment not in ALIGNMENTS:
            raise CheckpointError(f"no alignment {alignment!r}; there are {', '.join(ALIGNMENTS)}")
        if ALIGNMENTS[alignment].learns_anomalies and self.evidence.corrupted is None:
            raise CheckpointError(
                f"{self.config.out} has seen no synthetic anomalies, from which {alignment} "
                f"learns: train it with --alignment {alignment}"
            )

    def aligner(self, name: str, embedding: Embedding) -> Alignment:
        """Alignment `name` built from this run's references."""
        self.require(name)
        evidence = self.evidence
        references = References(
            evidence.maps,
            Look(embedding(evidence.deviations), evidence.places),
            self.products,
            self.scoring,
            evidence.groups,
            None if evidence.corrupted is None else embedding(evidence.corrupted),
        )
        return ALIGNMENTS[name](references).eval()

    @property
    def calibration_images(self) -> int:
        """How many pictures were calibrated on, each of another part."""
        return len(self.evidence.calibration_pictures.unique())

    @property
    def scoring(self) -> Scoring:
        """How maps become image scores."""
        return Scoring(self.config.score_share, self.evidence.inspected)

    @property
    def false_alarm_rate(self) -> float:
        """What the calibration images carry of the target rate."""
        return carried(self.config.false_alarm_rate, self.calibration_images)

    @property
    def novelty_rate(self) -> float:
        """What the calibration images carry of the target novelty rate."""
        return carried(self.config.novelty_rate, self.calibration_images)


def aligned_maps(
    alignment: Alignment, maps: Tensor, look: Look, products: tuple[str, ...]
) -> Tensor:
    """Aligned maps (N, h, w) of raw maps (N, h, w); class-aware forms read the products."""
    aligned = []
    with torch.no_grad():
        for start in range(0, len(maps), AT_A_TIME):
            rows = slice(start, start + AT_A_TIME)
            part = alignment.given_products(maps[rows].float(), look.of(rows), products[rows])
            aligned.append(part.maps)
    return torch.cat(aligned)


def save(checkpoint: Checkpoint, verification: Tensor) -> None:
    """Write the run into its folder, `checkpoint.json` last: where it is, the run is whole.

    `verification` are uint8 images (V, H, W, 3) for the export to prove itself on.
    """
    out = checkpoint.config.out
    tensors = {f"backbone.{k}": v for k, v in checkpoint.backbone.state_dict().items()}
    tensors |= {f"detector.{k}": v for k, v in checkpoint.detector.state_dict().items()}
    tensors |= {f"places.{k}": v for k, v in checkpoint.places.state_dict().items()}
    save_file({k: v.cpu().contiguous() for k, v in tensors.items()}, out / WEIGHTS)
    known = {k: v.contiguous() for k, v in vars(checkpoint.evidence).items() if v is not None}
    save_file(known, out / REFERENCES)
    save_file({"images": verification.contiguous()}, out / VERIFICATION)
    record = {
        "config": {
            k: str(v) if k in PATHS and v else v for k, v in asdict(checkpoint.config).items()
        },
        "training_digest": checkpoint.training_digest,
        "images": checkpoint.images,
        "calibrated_at": checkpoint.calibrated_at,
        "bit_depth": checkpoint.depth.bits,
        "calibration_files": dict(checkpoint.calibration_files),
        "fitted_files": checkpoint.fitted_files,
        "products": checkpoint.products,
        "calibration_products": checkpoint.calibration_products,
        "digests": {name: _digest(out / name) for name in (WEIGHTS, REFERENCES, VERIFICATION)},
    }
    with whole(out / RECORD) as file:
        file.write_text(json.dumps(record, indent=1) + "\n")


def load(run: Path) -> Checkpoint:
    """Read a run. Raises CheckpointError when a file is missing, damaged or of another run."""
    try:
        record = json.loads((run / RECORD).read_text())
        for name, digest in record["digests"].items():
            if _digest(run / name) != digest:
                raise CheckpointError(
                    f"{run / name} is damaged: its digest is not the recorded one"
                )
        config = _config(record["config"], run)
        tensors = load_file(run / WEIGHTS)
        evidence = _evidence(load_file(run / REFERENCES))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as exc:
        raise CheckpointError(f"{run} is not a finished run: {exc}; train it first") from exc
    if config.detector not in DETECTORS:
        raise CheckpointError(f"{run} has a detector that is unknown here: {config.detector!r}")
    backbone = bare_backbone(config)
    backbone.load_state_dict(_part(tensors, "backbone."))
    detector = restore_detector(config.detector, backbone, _part(tensors, "detector."))
    places = Places(sum(backbone.channels))
    places.load_state_dict(_part(tensors, "places."))
    return Checkpoint(
        config,
        backbone,
        detector,
        places,
        evidence,
        tuple(record["products"]),
        tuple(record["calibration_products"]),
        record["training_digest"],
        record.get("images", len(evidence.groups.unique())),  # not said before there was a limit
        record.get("calibrated_at"),
        Depth(record.get("bit_depth")),
        record.get("calibration_files", {}),
        tuple(record.get("fitted_files", ())),
    )


def _evidence(tensors: dict[str, Tensor]) -> Evidence:
    """Of a run of any age: there were pictures before there were groups, and images before them."""
    if "pictures" in tensors:
        tensors["groups"] = tensors.pop("pictures")
    for name in ("means", "calibration_means"):  # of whole images, before there were quarters
        if name in tensors:
            tensors[name.replace("means", "quarters")] = tensors.pop(name).unsqueeze(1)
    for name, of in (("groups", "maps"), ("calibration_pictures", "calibration_maps")):
        tensors.setdefault(name, torch.arange(len(tensors[of])))
    return Evidence(**tensors)


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
    if missing := sorted(detector.state_dict().keys() - state.keys()):
        raise CheckpointError(
            f"the run is of an older onegauge, whose {name} has no {', '.join(missing)}; "
            "train it anew"
        )
    for key, buffer in detector.named_buffers():
        if buffer.shape != state[key].shape:
            setattr(detector, key, torch.empty_like(state[key]))
    detector.load_state_dict(state)
    return detector.eval()


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _config(record: dict[str, Any], run: Path) -> TrainConfig:
    known = {f.name for f in fields(TrainConfig)}
    values = {k: Path(v) if k in PATHS and v else v for k, v in record.items() if k in known}
    lists = {k: tuple(v) for k, v in values.items() if isinstance(v, list)}
    return TrainConfig(**{**values, **lists, "out": run})


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
