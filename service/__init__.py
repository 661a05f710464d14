"""The gateway: bytes → image → backend → decision, regions, map → HTTP. Runs without torch.

image        encoded bytes → upright RGB pixels, the one reader for serving and training
contract     Triton's model configuration → what the graph takes and promises
backends     pixels → the graph's outputs: embedded onnxruntime or OpenVINO, or a Triton server
decision     outputs → decision and regions in the pixels of the original image
anomaly_map  outputs → PNG, NumPy or overlay picture of the anomaly map
inspection   one request's images through the steps above
app, routes  the HTTP side; settings, schemas, errors, metrics, drift, tracing and logs beside it
client       the other side: a library, bulk and watch the commands that use it
"""

import os

# ONNX Runtime's releases report to their maker from 1.29 on, which a plant has not agreed to. It
# has to know before it is imported; who wants the reports sets 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# NVIDIA's libraries round what they multiply in fp32 to 10 bits, as fp16 has them, unless told not
# to before they are loaded: distances to memories would not be those that a model is calibrated on.
os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
