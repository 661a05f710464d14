# The gateway with an embedded backend for CPUs and the client of Triton; without torch.
#
#   docker build -f docker/gateway.Dockerfile -t onegauge/gateway .
#
# Tests of libraries, and what of ONNX Runtime only an export needs, are left out.
# BASE may be any Debian or Ubuntu with Python 3.11 or newer and its venv module.
ARG BASE=python:3.12.12-slim-bookworm

FROM ${BASE} AS build
ARG EXTRAS=cpu,plant,postgres,tracing
COPY . /src
RUN python3 -m venv /opt/onegauge \
    && /opt/onegauge/bin/python -m pip install --no-cache-dir "/src[${EXTRAS}]" \
    && /opt/onegauge/bin/python -m pip uninstall --yes pip setuptools \
    && find /opt/onegauge -type d -name tests -prune -exec rm -r {} + \
    && rm -rf /opt/onegauge/lib/python3*/site-packages/onnxruntime/transformers \
        /opt/onegauge/lib/python3*/site-packages/onnxruntime/quantization \
        /opt/onegauge/lib/python3*/site-packages/onnxruntime/tools

FROM ${BASE}
LABEL org.opencontainers.image.title="onegauge gateway" \
      org.opencontainers.image.description="Visual inspection of mixed products with one threshold" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/onegauge /opt/onegauge
COPY model_repository /models
# A volume that is mounted here belongs to the gateway: pictures and spool of records
RUN install -d -o 10001 -g 10001 /records
# Nothing is written while it runs: bytecode was compiled when pip installed
ENV PATH=/opt/onegauge/bin:${PATH} \
    PYTHONDONTWRITEBYTECODE=1 \
    ONEGAUGE_HOST=0.0.0.0 \
    ONEGAUGE_LOG_FORMAT=json \
    ONEGAUGE_REPOSITORY=/models
USER 10001:10001
WORKDIR /
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python3", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + os.environ.get('ONEGAUGE_PORT', '8000') + '/healthz', timeout=2)"]
ENTRYPOINT ["onegauge"]
CMD ["serve"]
