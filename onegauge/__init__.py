"""One gauge for every part on the line: visual inspection of mixed products with one threshold.

    from onegauge import Client

client      a gateway's other side, as a library; `onegauge inspect` and `onegauge watch`
cli         the command line
service     the gateway: images → decisions over HTTP
records     what a gateway has inspected, in a database
training    a folder of normal images → a run
export      a run → a published model
library     the normal images that a gauge compares with
teach       what changes a gauge after its training
bulk        very many images, by Ray; cluster: Ray itself
camera      cameras of a line's PC
files, cores, pauses, schemas   what several of these share

`service`, `training` and `export` are links to the folders beside this one.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onegauge.client import AsyncClient as AsyncClient
    from onegauge.client import Client as Client


def __getattr__(name: str) -> object:
    """The clients, imported when they are asked for: a command that needs none starts at once."""
    if name not in ("AsyncClient", "Client"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from onegauge import client

    return getattr(client, name)
