"""The Python client of a gateway, and the commands that use it: needs httpx, pydantic and numpy."""

from onegauge.client.calls import Away, ClientError, Named, NoGateway, Refused, Unreachable
from onegauge.client.client import AsyncClient, Client, anomaly_map, key_of_environment
from onegauge.schemas import Answer, Decision, ModelCard, Options, Readiness, Rejection

__all__ = [
    "Answer",
    "AsyncClient",
    "Away",
    "Client",
    "ClientError",
    "Decision",
    "ModelCard",
    "Named",
    "NoGateway",
    "Options",
    "Readiness",
    "Refused",
    "Rejection",
    "Unreachable",
    "anomaly_map",
    "key_of_environment",
]
