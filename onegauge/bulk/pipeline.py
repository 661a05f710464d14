"""The stages on Ray: chunks of paths → tasks that read and decide → rows.

Both stages of a chunk run in one process, so that pixels need not travel, and the model stays in it
for the next chunk. The driver has no thread beside it that may ask Ray for something when Ray ends,
which would end the process.
"""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import islice
from math import ceil

import pyarrow as pa
import ray
from ray.exceptions import RayError

from onegauge.bulk.errors import BulkError
from onegauge.bulk.reading import read
from onegauge.bulk.source import PATH
from onegauge.bulk.work import Decider, Work

ROUNDS = 4  # tasks for each core at the least, so that all cores end at about the same time
WAITING = 2  # tasks for each core, so that the next is there when one ends
RETRIES = 3  # of a task whose process or machine is lost
_OURS = re.compile(r"^onegauge\.[\w.]+: (.+)$", re.MULTILINE)
_MISSING = re.compile(r"^ModuleNotFoundError: (.+)$", re.MULTILINE)


def inspected(paths: pa.Table, work: Work) -> Iterator[pa.Table]:
    """The rows of images, each once, as they come; raises BulkError.

    Tasks that are lost with a machine are begun again by Ray on another one.
    """
    cpus = max(1, int(ray.cluster_resources().get("CPU", 1)))
    many = min(work.images_a_task, ceil(paths.num_rows / (ROUNDS * cpus)))
    task = ray.remote(num_cpus=1, max_retries=RETRIES)(rows_of)
    there = [ray.put(work)]  # in a list Ray leaves it where it is
    chunks = (
        paths[PATH].slice(start, many).to_pylist() for start in range(0, paths.num_rows, many)
    )
    coming = (task.remote(there, chunk) for chunk in chunks)
    under_way = list(islice(coming, work.most_tasks or WAITING * cpus))
    while under_way:
        (done,), under_way = ray.wait(under_way)
        under_way.extend(islice(coming, 1))
        try:
            yield ray.get(done)
        except RayError as exc:
            raise BulkError(_reason(exc)) from exc


def rows_of(there: "Sequence[ray.ObjectRef[Work]]", paths: Sequence[bytes]) -> pa.Table:
    """The rows of some images in their order: what is next is read while a batch is decided on."""
    work, decide = _ready(*there)
    batches = [paths[start : start + work.images] for start in range(0, len(paths), work.images)]
    rows: list[pa.Table] = []
    with ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(read, batches[0], work.reading)
        for following in batches[1:]:
            batch, ahead = ahead.result(), reader.submit(read, following, work.reading)
            rows.append(decide(batch))
        rows.append(decide(ahead.result()))
    return pa.concat_tables(rows)


@lru_cache(maxsize=1)
def _ready(there: "ray.ObjectRef[Work]") -> tuple[Work, Decider]:
    """The work, and what decides, made once in each process."""
    work = ray.get(there)
    return work, work.decider()


def _reason(error: RayError) -> str:
    """What went wrong on some machine, of which Ray tells the text of a traceback."""
    if ours := _OURS.findall(str(error)):
        return str(ours[-1])
    if missing := _MISSING.findall(str(error)):
        return f"{missing[-1]} on a machine of the cluster: pip install 'onegauge[ray]' on each"
    return f"Ray gave up: {error}"
