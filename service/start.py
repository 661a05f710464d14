"""The start of the gateway: its model is loaded while its modules are imported."""

import ctypes
import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from onegauge.service.errors import ContractError
from onegauge.service.model.backends import backend_for
from onegauge.service.settings import Settings

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # of malloc.h


def serve(settings: Settings) -> None:
    """Run the gateway until it is told to stop.

    Raises a subclass of BackendError when the model cannot be loaded.
    """
    _give_memory_back()
    with _no_search_for_garbage(), ThreadPoolExecutor(1) as beside:
        loading = beside.submit(backend_for(settings))
        from onegauge.service.server import run  # takes about as long

        try:
            backend = loading.result()
        except ContractError as exc:
            raise ContractError(f"{exc} (in {settings.repository.resolve()})") from exc
    run(settings, backend)


def _give_memory_back() -> None:
    """Have glibc return what loading and decoding took: large blocks at once, and no arenas beside.

    Left to itself it learns to keep ever larger blocks, of which a gateway has some in every size,
    and the file of the model is the first of them.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return
    mallopt(_M_MMAP_THRESHOLD, 2**20)
    mallopt(_M_ARENA_MAX, 1)


@contextmanager
def _no_search_for_garbage() -> Iterator[None]:
    """While modules are imported, and among these ever: they leave next to none."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
