"""Pictures of the records in a folder, as `onegauge add` reads them."""

import re
from collections.abc import Sequence
from pathlib import Path

from onegauge.records.errors import PictureGone
from onegauge.records.lessons import Lesson
from onegauge.records.pictures import Pictures

GROUP_BY = r"/part(\d+)_[0-9a-f]{64}\."  # which files show one part


def lay_out(lessons: Sequence[Lesson], pictures: Pictures, folder: Path) -> int:
    """Write the pictures of lessons below a folder, each once, and say how many there are.

    A folder is a product; a file's name tells the part that it shows. What is not kept any longer
    is left out. Raises RecordsUnavailable and OSError.
    """
    parts: dict[str, int] = {}
    written = set[str]()
    for lesson in lessons:
        record = lesson.record
        digest = record.picture
        if digest is None or digest in written:
            continue
        try:
            data = pictures.read(digest)
        except PictureGone:
            continue
        part = parts.setdefault(f"part {record.part}" if record.part else record.id, len(parts))
        suffix = (record.media_type or "image/png").removeprefix("image/")
        file = folder / _folder_of(lesson) / f"part{part}_{digest}.{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        written.add(digest)
    return len(written)


def _folder_of(lesson: Lesson) -> str:
    """A name that stays in the folder, whatever somebody calls a product."""
    named = re.sub(r"[^\w-]+", "_", lesson.product or "").strip("_")
    return named or "taught"
