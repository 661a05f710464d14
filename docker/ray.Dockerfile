# A node of a Ray cluster that inspects very many images: onegauge inspect --engine ray.
#
#   docker build -f docker/ray.Dockerfile -t onegauge/ray:0.1.0 .
#   docker build -f docker/ray.Dockerfile --build-arg EXTRAS=ray,train -t onegauge/ray:0.1.0 .
#
# The second one also trains. BASE has Ray, with its dashboard, in the Python of its user.
ARG BASE=rayproject/ray:2.60.0-py312-cpu

FROM ${BASE}
ARG EXTRAS=ray
LABEL org.opencontainers.image.title="onegauge on Ray" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY . /src
RUN python -m pip install --no-cache-dir "/src[${EXTRAS}]"
ENV PYTHONDONTWRITEBYTECODE=1 \
    RAY_USAGE_STATS_ENABLED=0
