"""Commands from a run to the version of a model that is served."""

from pathlib import Path
from typing import Annotated

import typer

from onegauge.cli.options import ModelName, Precision, Repository, Run, TritonBackend

app = typer.Typer()


@app.command()
def export(
    run: Run,
    repository: Repository,
    name: ModelName,
    triton_backend: Annotated[TritonBackend, typer.Option(help="That runs it")] = "onnxruntime",
    precision: Annotated[Precision, typer.Option(help="Of the networks in the graph")] = "fp32",
    tensorrt: Annotated[bool, typer.Option("--tensorrt", help="By Triton's onnxruntime")] = False,
    images: Annotated[Path | None, typer.Option(help="Where the training images are now")] = None,
    max_batch_size: Annotated[int, typer.Option(min=1, help="Images at once, at most")] = 8,
    candidate: Annotated[bool, typer.Option("--candidate", help="Add, but do not serve")] = False,
) -> None:
    """Publish a run as the next version of a model, once the graph agrees with torch."""
    from onegauge.export.export_run import Flavour, export_run

    flavour = Flavour(triton_backend, precision, tensorrt, images, max_batch_size)
    version = export_run(run, repository, name, flavour, candidate=candidate)
    typer.echo(f"{'added' if candidate else 'published'} {repository / name / str(version)}")


@app.command()
def publish(
    version: Annotated[int, typer.Argument(help="A version of the model")],
    repository: Repository,
    name: ModelName,
    shadow: Annotated[
        int | None, typer.Option(help="A version that Triton loads beside it")
    ] = None,
) -> None:
    """Have a version served; gateways notice, Triton is told by POST /v1/model/reload."""
    from onegauge.export.publish import publish as publish_version

    publish_version(repository, name, version, [] if shadow is None else [shadow])
    typer.echo(f"published {repository / name / str(version)}")


@app.command()
def rollback(repository: Repository, name: ModelName) -> None:
    """Have the version before the served one served."""
    from onegauge.export.publish import rollback as roll_back

    typer.echo(f"published {repository / name / str(roll_back(repository, name))}")
