from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from onegauge.training.data.dataset import TestImage as LabelledImage
from onegauge.training.evaluation.readings import Readings

Line = Callable[..., Readings]


@pytest.fixture
def line(tmp_path: Path) -> Line:
    """Makes images of a line and what a gauge said of them.

    `line(nut=([0.1, 1.2], [3.0]))` has two normal images of the product `nut`, one of which is a
    false alarm, and one anomalous image, which is found. Products whose names are no identifiers
    go into a dict, the first argument.
    """

    def make(products: dict | None = None, **more: tuple[list[float], list[float]]) -> Readings:
        images, score = [], []
        for product, kinds in {**(products or {}), **more}.items():
            for anomalous, scores in enumerate(kinds):
                for value in scores:
                    path = tmp_path / f"{len(images)}.png"
                    Image.new("RGB", (40, 20), (90, 120, 60)).save(path)
                    defect = "chip" if anomalous else "good"
                    images.append(LabelledImage(path, product, bool(anomalous), defect, None))
                    score.append(value)
        scores = np.array(score, np.float32)
        maps = np.broadcast_to(scores[:, None, None], (len(scores), 4, 4)).astype(np.float16)
        p_values = np.clip(0.5 - 0.4 * scores, 0.05, 1).astype(np.float32)
        return Readings(tuple(images), scores, p_values, 2 + scores / 3, scores / 5, maps)

    return make
