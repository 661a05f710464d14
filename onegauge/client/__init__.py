"""The Python client of a gateway, and the commands that use it: needs httpx, pydantic and numpy.

client       a gateway, asked from threads
async_client the same from an event loop
calls        what both send, when they send it again, and how a call can fail
proxy        the way to a gateway: directly, or by the environment's proxy

inspect      the command `onegauge inspect`: files → a table, JSON lines, overlays
batches      many images → outcomes, a few requests at a time
outcome      what became of one image: the gateway's decision, or a problem
json_lines   files of JSON, one object a line
records      the commands `onegauge records find` and `judge`
watch        the command `onegauge watch`
"""

from onegauge.client.async_client import AsyncClient
from onegauge.client.calls import Away, ClientError, Named, NoGateway, Refused, Unreachable
from onegauge.client.client import Client, anomaly_map, key_of_environment
from onegauge.schemas import (
    Answer,
    Decision,
    InspectedPage,
    Inspection,
    ModelCard,
    Options,
    Readiness,
    Rejection,
    Search,
)

__all__ = [
    "Answer",
    "AsyncClient",
    "Away",
    "Client",
    "ClientError",
    "Decision",
    "InspectedPage",
    "Inspection",
    "ModelCard",
    "Named",
    "NoGateway",
    "Options",
    "Readiness",
    "Refused",
    "Rejection",
    "Search",
    "Unreachable",
    "anomaly_map",
    "key_of_environment",
]
