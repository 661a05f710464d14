"""The command line `onegauge`: from a folder of images to a model, and from that to decisions.

training     a folder of images → a run, and how good it is
models       a run → the version of a model that is served
teaching     what changes a gauge after its training: images come and go
gateway      what runs a gateway, and makes its keys
inspection   what sends images to a gateway
records      what looks after the records of a gateway
options      what several commands share

What a command needs is imported inside it, so that the gateway runs where torch is not installed
and `--help` is instant.
"""

import sys
from collections.abc import Sequence
from io import TextIOWrapper

import typer

from onegauge.cli import gateway, inspection, models, records, teaching, training
from onegauge.cli.inspection import AnomaliesFound

TEACHING = ("add", "recalibrate", "references", "remove", "suspects")
EXTRAS = {"serve": "cpu", "inspect": "ray", "watch": "camera", "records": "records"}
EXTRAS |= dict.fromkeys(TEACHING, "teach")
ON_WINDOWS = ("inspect", "watch", "key")  # the commands that run there

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for group in (training, models, teaching, gateway, inspection, records):
    app.add_typer(group.app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a subcommand; exit status 1 on error, 130 on Ctrl-C, 2 when `inspect` finds anomalies."""
    if isinstance(sys.stdout, TextIOWrapper):  # it may lack letters of a file's name
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app(arguments)
    except AnomaliesFound:
        sys.exit(2)
    except SystemExit as end:
        # typer ends a misuse with 2, which would read as "anomalous"
        sys.exit(1 if end.code == 2 else end.code)
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] == "onegauge":
            raise
        extras = next((e for c, e in EXTRAS.items() if c in (arguments or sys.argv)), "cpu,train")
        hint = f"{exc.name} is not installed: pip install 'onegauge[{extras}]'"
        typer.echo(f"onegauge: {hint}", err=True)
        sys.exit(1)
    except _our_errors() as exc:
        typer.echo(f"onegauge: {exc}", err=True)
        sys.exit(1)


def _our_errors() -> tuple[type[Exception], ...]:
    """What the packages raise for the user to read; imported only when something was raised."""
    from onegauge.bulk.errors import BulkError
    from onegauge.camera.errors import CameraError
    from onegauge.client import ClientError
    from onegauge.cluster import ClusterError
    from onegauge.export.errors import ExportError
    from onegauge.library.errors import LibraryError
    from onegauge.records.errors import RecordsError
    from onegauge.service.errors import Problem
    from onegauge.service.http.keys import KeyFileError
    from onegauge.service.sinks.errors import SinkError
    from onegauge.teach.errors import TeachingError
    from onegauge.training.errors import TrainingError

    ours = BulkError, CameraError, ClientError, ClusterError, ExportError, KeyFileError
    theirs = LibraryError, Problem, RecordsError, SinkError, TeachingError, TrainingError
    return *ours, *theirs, OSError


@app.callback()
def refuse_windows(context: typer.Context) -> None:
    """From a folder of images to a model, and from that to decisions."""
    command = context.invoked_subcommand
    if sys.platform == "win32" and command not in ON_WINDOWS:
        typer.echo(
            f"onegauge: {command} needs Linux or macOS: on Windows run it in WSL or a container; "
            f"{', '.join(ON_WINDOWS)} run on Windows itself",
            err=True,
        )
        raise typer.Exit(1)
