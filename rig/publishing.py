"""A graph as the next version of a model, and served."""

from pathlib import Path

from tritonclient.grpc.model_config_pb2 import ModelConfig

from onegauge.export.publish import add_version, publish
from onegauge.service.model.repository import Verification


def add_and_publish(
    repository: Path,
    config: ModelConfig,
    model_file: Path,
    verification: Verification | None = None,
) -> int:
    """The number of the new version."""
    version = add_version(repository, config, model_file, verification)
    publish(repository, config.name, version)
    return version
