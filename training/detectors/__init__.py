"""Detectors: one file, one published method; features in, raw anomaly map out."""

from training.detectors.detector import Detector, FitOptions, raw_maps
from training.detectors.dinomaly import Dinomaly
from training.detectors.patchcore import PatchCore
from training.detectors.recontrast import ReContrast
from training.detectors.revdist import RevDist
from training.detectors.uniad import UniAD

DETECTORS: dict[str, type[Detector]] = {
    "patchcore": PatchCore,
    "revdist": RevDist,
    "recontrast": ReContrast,
    "uniad": UniAD,
    "dinomaly": Dinomaly,
}

__all__ = [
    "DETECTORS",
    "Detector",
    "Dinomaly",
    "FitOptions",
    "PatchCore",
    "ReContrast",
    "RevDist",
    "UniAD",
    "raw_maps",
]
