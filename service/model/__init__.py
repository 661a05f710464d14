"""The served graph: what it takes and gives, which version it is, and what runs it.

model        what a version and a backend offer: two protocols
contract     what a version takes and promises, read from its config.pbtxt
outputs      what the graph gives for a batch
criterion    score or p-value → normal or anomalous
uniformity   how far p-values are from those of normal images
repository   the versions of a model on disk; messages: Triton's form of their configuration
backends     ONNX Runtime, OpenVINO, Triton
"""
