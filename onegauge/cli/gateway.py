"""Commands of who runs a gateway."""

from pathlib import Path
from typing import Annotated

import typer

from onegauge.cli.options import names_in, settings_with

app = typer.Typer()


@app.command()
def serve(
    repository: Annotated[Path | None, typer.Option(help="ONEGAUGE_REPOSITORY")] = None,
    host: Annotated[str | None, typer.Option(help="ONEGAUGE_HOST")] = None,
    port: Annotated[int | None, typer.Option(help="ONEGAUGE_PORT")] = None,
    api_keys: Annotated[
        str | None, typer.Option(help="ONEGAUGE_API_KEYS: a file of onegauge key, or off")
    ] = None,
) -> None:
    """Inspect images over HTTP; all other settings are read from ONEGAUGE_* variables."""
    from onegauge.service.start import serve as run_server

    options = {"repository": repository, "host": host, "port": port, "api_keys": api_keys}
    run_server(settings_with({name: value for name, value in options.items() if value is not None}))


@app.command()
def key(
    name: Annotated[str, typer.Argument(help="Of the key, in logs; no two have the same")],
    file: Annotated[Path, typer.Option(help="File of the keys, ONEGAUGE_API_KEYS")],
    scopes: Annotated[
        str, typer.Option(help="Of inspect, read, admin, review and teach")
    ] = "inspect",
) -> None:
    """Make an API key: print it once, and append its hash to the file of the keys."""
    from onegauge.service.http.keys import add_key

    typer.echo(add_key(file, name, names_in(scopes)))
