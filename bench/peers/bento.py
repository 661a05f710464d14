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
        self.names = [output.name for output in self.session.get_outputs()]

    @bentoml.api
    def inspect(self, image: Image) -> dict[str, float | str]:
        """The graph's numbers and the decision."""
        pixels = np.asarray(image.convert("RGB").resize((256, 256)))[None]
        outputs = dict(zip(self.names, self.session.run(None, {"image": pixels}), strict=True))
        outputs.pop("anomaly_map")
        numbers = {name: float(value[0]) for name, value in outputs.items()}
        return {**numbers, "decision": "anomalous" if numbers["score"] >= 1 else "normal"}
