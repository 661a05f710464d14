"""The reference for the gateway: the same graph behind a plain FastAPI handler."""

import io
import os
from typing import Annotated

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI, File, UploadFile
from PIL import Image

app = FastAPI()
session = onnxruntime.InferenceSession(os.environ["MODEL"])
names = [output.name for output in session.get_outputs() if len(output.shape) == 1]


@app.post("/inspect")
def inspect(image: Annotated[UploadFile, File()]) -> dict[str, object]:
    """Decode, resize, run, answer."""
    picture = Image.open(io.BytesIO(image.file.read())).convert("RGB").resize((256, 256))
    outputs = session.run(names, {"image": np.asarray(picture)[None]})
    numbers = {name: float(value[0]) for name, value in zip(names, outputs, strict=True)}
    return {**numbers, "decision": "anomalous" if numbers["score"] >= 1 else "normal"}


uvicorn.run(app, port=int(os.environ["PORT"]), log_level="warning")
