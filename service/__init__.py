"""The gateway: bytes → image → backend → decision, regions, map → HTTP. Runs without torch.

imaging      encoded bytes → upright RGB pixels, the one reader for serving and training
model        pixels → the graph's outputs: its contract, its versions, and what runs it
inspection   one request's images → decisions, regions and anomaly maps
recording    decisions → records and pictures, beside the answers; finds them again
outbox       how something leaves for elsewhere while decisions go on
sinks        decisions → the brokers, hooks and controllers of a plant
teaching     verdicts → another version, tried and served
http         a connection → a request → an answer
review       the page on which people look at what was inspected
observe      metrics, drift, spans and logs
app          all of it as an application; server: as a process; start: its model meanwhile
settings, errors and threads lie beside
"""

import os

# ONNX Runtime's releases report to their maker from 1.29 on, which a plant has not agreed to. It
# has to know before it is imported; who wants the reports sets 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# NVIDIA's libraries round what they multiply in fp32 to 10 bits, as fp16 has them, unless told not
# to before they are loaded: distances to memories would not be those that a model is calibrated on.
os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
