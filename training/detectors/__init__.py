"""Detectors: one file, one method; features in, raw anomaly map out.

detector                                         what every detector is
gallery, patchcore, revdist, recontrast, uniad,
dinomaly                                         the methods
patches                                          features of small neighbourhoods
coreset                                          few points that stand for many
bottleneck                                       networks that revdist and recontrast train
engine                                           the loop that trains; stable_adamw: an optimizer
layers                                           what looks at the batch of several processes
"""

from onegauge.training.detectors.detector import Detector, FitOptions, raw_maps
from onegauge.training.detectors.dinomaly import Dinomaly
from onegauge.training.detectors.gallery import Gallery
from onegauge.training.detectors.patchcore import PatchCore
from onegauge.training.detectors.recontrast import ReContrast
from onegauge.training.detectors.revdist import RevDist
from onegauge.training.detectors.uniad import UniAD

DETECTORS: dict[str, type[Detector]] = {
    "gallery": Gallery,
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
    "Gallery",
    "PatchCore",
    "ReContrast",
    "RevDist",
    "UniAD",
    "raw_maps",
]
