"""Detectors: one file, one published method; features in, raw anomaly map out."""

from training.detectors.detector import Detector, FitOptions, raw_maps
from training.detectors.patchcore import PatchCore
from training.detectors.revdist import RevDist

DETECTORS: dict[str, type[Detector]] = {"patchcore": PatchCore, "revdist": RevDist}

__all__ = ["DETECTORS", "Detector", "FitOptions", "PatchCore", "RevDist", "raw_maps"]
