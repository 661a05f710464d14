# Triton for models exported with --triton-backend python, which run onnxruntime in the server's
# Python. Models of the default flavour need the official image alone.
#
#   docker build -f docker/triton.Dockerfile -t onegauge/triton .
#
# BASE: 26.05 is the last release line before TensorRT 11, which takes precisions from the graph
# alone; later ones work too. RUNTIME=onnxruntime for a server without GPU.
ARG BASE=nvcr.io/nvidia/tritonserver:26.05-py3

FROM ${BASE}
ARG RUNTIME=onnxruntime-gpu
RUN python3 -m pip install --no-cache-dir --break-system-packages "${RUNTIME}>=1.20"
USER 1000:1000
