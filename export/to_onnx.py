"""The gauge as one ONNX file with fixed names and a dynamic batch."""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import torch

from service.contract import IMAGE
from training.gauge import Gauge, Reading

OPSET = 20
TRACED_BATCH = 2  # a batch of 1 would be baked into the graph


def write_onnx(gauge: Gauge, image_size: int, path: Path) -> None:
    """Write `gauge` to `path`: input `image` uint8 (B, H, W, 3), outputs the fields of Reading.

    Constants are inside the file, so that one file is the whole model.
    """
    image = torch.zeros(TRACED_BATCH, image_size, image_size, 3, dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        # The exporter warns of its own internals; what matters is verified afterwards.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            gauge.eval(),
            (image,),
            path,
            dynamo=True,
            external_data=False,
            input_names=[IMAGE],
            output_names=list(Reading._fields),
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=1024)},),
            opset_version=OPSET,
            verbose=False,
        )
