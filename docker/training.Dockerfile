# Training, evaluation and export, on the GPU where there is one.
#
#   docker build -f docker/training.Dockerfile -t onegauge/training .
#   docker run --rm --gpus all -v "$PWD/data:/data" onegauge/training \
#       train --data /data/parts --out /data/runs/first
#
# BASE may be any image with Python 3.11 or newer; the torch it has is kept.
ARG BASE=pytorch/pytorch:2.9.1-cuda12.8-cudnn9-runtime

FROM ${BASE}
ARG EXTRAS=cpu,tiles,train
LABEL org.opencontainers.image.title="onegauge training" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY . /src
# A virtual environment that sees the base's packages, torch among them
RUN python3 -m venv --system-site-packages /opt/onegauge \
    && /opt/onegauge/bin/python -m pip install --no-cache-dir "/src[${EXTRAS}]"
ENV PATH=/opt/onegauge/bin:${PATH} \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HOME=/data/cache \
    MPLCONFIGDIR=/tmp
USER 10001:10001
WORKDIR /data
ENTRYPOINT ["onegauge"]
