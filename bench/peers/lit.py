"""The same graph behind LitServe, as its documentation shows."""

import io
import os

import litserve
import numpy as np
import onnxruntime
from fastapi import Request
from PIL import Image


class Gauge(litserve.LitAPI):
    """Decode, resize, run, answer."""

    def setup(self, device: str) -> None:  # noqa: ARG002
        """Load the graph in the worker."""
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"])
        outputs = self.session.get_outputs()
        self.names = [output.name for output in outputs if len(output.shape) == 1]

    def decode_request(self, request: Request) -> np.ndarray:
        """Pixels (1, 256, 256, 3)."""
        data = request["image"].file.read()
        picture = Image.open(io.BytesIO(data)).convert("RGB").resize((256, 256))
        return np.asarray(picture)[None]

    def predict(self, pixels: np.ndarray) -> dict[str, float]:
        """The graph's numbers."""
        outputs = self.session.run(self.names, {"image": pixels})
        return {n: float(value[0]) for n, value in zip(self.names, outputs, strict=True)}

    def encode_response(self, numbers: dict[str, float]) -> dict[str, object]:
        """They and the decision."""
        return {**numbers, "decision": "anomalous" if numbers["score"] >= 1 else "normal"}


if __name__ == "__main__":
    server = litserve.LitServer(Gauge(), accelerator="cpu", api_path="/inspect")
    server.run(port=int(os.environ["PORT"]), log_level="warning", generate_client_file=False)
