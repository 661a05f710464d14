"""The same graph behind BentoML, as its documentation shows."""

import os

import bentoml
import numpy as np
import onnxruntime
from PIL.Image import Image


@bentoml.service
class Gauge:
    """Resize, run, answer; BentoML decodes."""

    def __init__(self) -> None:
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"])
        outputs = self.session.get_outputs()
        self.names = [output.name for output in outputs if len(output.shape) == 1]

    @bentoml.api
    def inspect(self, image: Image) -> dict[str, float | str]:
        """The graph's numbers and the decision."""
        pixels = np.asarray(image.convert("RGB").resize((256, 256)))[None]
        outputs = self.session.run(self.names, {"image": pixels})
        numbers = {n: float(value[0]) for n, value in zip(self.names, outputs, strict=True)}
        return {**numbers, "decision": "anomalous" if numbers["score"] >= 1 else "normal"}
