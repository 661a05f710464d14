"""What a detector's ONNX graph gives, traced as the gauge is but from features on."""

import io
import logging
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from training.detectors import Detector
from training.features import Features, Seen


class Graph(nn.Module):
    """A detector between stages and maps; none of those exported here looks at the image."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, stages: list[Tensor]) -> Tensor:
        return self.detector(Seen(torch.zeros(0), stages))


def exported_maps(
    detector: Detector, features: Features, sizes: tuple[int, ...], folder: Path
) -> list[np.ndarray]:
    """Maps of the first images in batches of these sizes, by a graph traced with a batch of 2."""
    stages, file = features.batch([0, 1]).stages, folder / "detector.onnx"
    batch = {0: torch.export.Dim("batch", min=1, max=1024)}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        torch.onnx.export(
            Graph(detector).eval(),
            (stages,),
            file,
            dynamo=True,
            external_data=False,
            dynamic_shapes=([batch] * len(stages),),
            opset_version=20,
            verbose=False,
        )
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    found = []
    for size in sizes:
        arrays = [stage.numpy() for stage in features.batch(range(size)).stages]
        found.append(session.run(None, dict(zip(names, arrays, strict=True)))[0])
    return found
