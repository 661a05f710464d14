"""Huge pages for what every image needs: the model, and the memory of the interpreter."""

import ctypes
from pathlib import Path

_MADV_COLLAPSE = 25  # of mman.h, Linux 6.1 and newer


def use_huge_pages() -> None:
    """Have Linux join the pages of this process's memory into huge ones, where it can.

    An image needs weights, intermediate results and hundreds of functions anew, and for pages of
    4 KB the processor looks up where each is. Memory that is asked for later has small ones.
    """
    try:
        regions = Path("/proc/self/maps").read_text().splitlines()
        madvise = ctypes.CDLL(None).madvise
    except (AttributeError, OSError):  # another system
        return
    for region in regions:
        span, rights, _, _, file, *name = region.split()
        if rights == "rw-p" and file == "0" and name in ([], ["[heap]"]):
            first, end = (int(place, 16) for place in span.split("-"))
            madvise(ctypes.c_void_p(first), ctypes.c_size_t(end - first), _MADV_COLLAPSE)
