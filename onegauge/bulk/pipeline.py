"""The stages on Ray Data: paths → tasks that read → actors that decide → rows."""

import logging
import re
from collections.abc import Iterator
from functools import partial
from math import ceil

import pyarrow as pa
import ray
import ray.data
from ray.exceptions import RayError

from onegauge.bulk.errors import BulkError
from onegauge.bulk.reading import read
from onegauge.bulk.work import Work

ROUNDS = 4  # tasks for each core, so that all cores end at about the same time
MOST_PATHS = 2048  # of a task, which is done again where its machine is lost
_OURS = re.compile(r"^onegauge\.[\w.]+: (.+)$", re.MULTILINE)
_MISSING = re.compile(r"^ModuleNotFoundError: (.+)$", re.MULTILINE)


def inspected(paths: pa.Table, work: Work) -> Iterator[pa.Table]:
    """The rows of images, each once, as they come; raises BulkError.

    Tasks and actors that are lost with a machine are begun again by Ray on another one.
    """
    cpus = max(1, int(ray.cluster_resources().get("CPU", 1)))
    tasks = max(ceil(paths.num_rows / MOST_PATHS), min(ROUNDS * cpus, paths.num_rows))
    images = min(work.images, ceil(paths.num_rows / tasks))
    _prepare(images, work)
    rows = (
        ray.data.from_arrow(paths, override_num_blocks=tasks)
        .map_batches(
            partial(read, wanted=work.reading),
            batch_size=images,
            batch_format="pyarrow",
            num_cpus=0,  # the actors have all cores, and what reads runs beside them
            compute=ray.data.TaskPoolStrategy(size=min(cpus, tasks)),
        )
        .map_batches(
            work.actor,
            fn_constructor_args=work.arguments(),
            batch_size=None,
            num_cpus=1,
            compute=ray.data.ActorPoolStrategy(size=min(cpus, tasks, work.most_actors or cpus)),
        )
    )
    try:
        yield from rows.iter_batches(batch_size=None, batch_format="pyarrow")
    except RayError as exc:
        raise BulkError(_reason(exc)) from exc


def _prepare(images: int, work: Work) -> None:
    """Have Ray Data say nothing, and cut what tasks give into blocks of so many images."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    if contract := work.reading.contract:
        context.target_max_block_size = images * contract.height * contract.width * 3
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # an error is raised, too


def _reason(error: RayError) -> str:
    """What went wrong on some machine, of which Ray tells the text of a traceback."""
    if ours := _OURS.findall(str(error)):
        return str(ours[-1])
    if missing := _MISSING.findall(str(error)):
        return f"{missing[-1]} on a machine of the cluster: pip install 'onegauge[ray]' on each"
    return f"Ray gave up: {error}"
