"""The second stage, by a model in the process: pixels → rows."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from onegauge.bulk.batch import Batch, name_of, refusals
from onegauge.bulk.model import Published
from onegauge.bulk.row import Row, decided, not_had, refused, table
from onegauge.schemas import ModelVersion
from onegauge.service.errors import BackendFailed, ImageError
from onegauge.service.imaging.tiles import TiledPicture
from onegauge.service.inspection.finding import Finding
from onegauge.service.inspection.judge import Judge
from onegauge.service.inspection.pictures import infer_tiles, read_picture
from onegauge.service.model.backends.embedded import made_ready
from onegauge.service.model.backends.onnx import compile_model
from onegauge.service.model.outputs import Outputs

Sizes: TypeAlias = Sequence[tuple[int, int]]


class ByModel:
    """Decides by a model in this process, with one thread: there is a process for each core."""

    def __init__(self, published: Published, judge: Judge, max_pixels: int) -> None:
        """Raises ContractError."""
        with TemporaryDirectory() as folder:
            stored = published.unpacked(Path(folder))
            compiled = made_ready(stored, compile_model, 1)
        self._run = compiled.alone
        self._at_once = judge.contract.max_batch_size if compiled.batching else 1
        self._judge = judge
        self._max_pixels = max_pixels

    def __call__(self, batch: Batch) -> pa.Table:
        """A row for each image, in their order."""
        rows = refusals(batch, self._judge.options)
        todo = [row for row in range(len(batch["path"])) if row not in rows]
        for start in range(0, len(todo), self._at_once):
            rows |= self._rows(batch, todo[start : start + self._at_once])
        return table([rows[row] for row in sorted(rows)])

    def _rows(self, batch: Batch, some: Sequence[int]) -> dict[int, Row]:
        """The rows of images that the model takes at once, by their places."""
        names, options = [name_of(batch, row) for row in some], self._judge.options
        try:
            outputs, sizes = self._outputs(batch, some)
        except ImageError as exc:  # of a picture of tiles, which is alone
            found = [refused(name, exc.details(), options) for name in names]
        except BackendFailed as exc:
            found = [refused(name, not_had(exc), options) for name in names]
        else:
            told = zip(names, sizes, batch["data"][some], range(len(some)), strict=True)
            found = [self._row(name, outputs.row(i), size, data) for name, size, data, i in told]
        return dict(zip(some, found, strict=True))

    def _outputs(self, batch: Batch, some: Sequence[int]) -> tuple[Outputs, Sizes]:
        """What the model says of images, and their sizes in pixels."""
        contract = self._judge.contract
        if contract.tiling:
            (row,) = some
            picture = read_picture(batch["data"][row], contract, self._max_pixels)
            assert isinstance(picture, TiledPicture)
            outputs = infer_tiles(picture, contract, self._infer, lambda task: task())
            return outputs, [(picture.width, picture.height)]
        first, last = some[0], some[-1] + 1
        together = last - first == len(some)  # then nothing is copied
        images = batch["pixels"][first:last] if together else batch["pixels"][some]
        sizes = [(int(width), int(height)) for width, height in batch["size"][some]]
        return self._judge.looked_at(self._infer(images)), sizes

    def _infer(self, images: NDArray[np.uint8]) -> Outputs:
        return Outputs.from_tensors(self._run(images), len(images))

    def _row(self, name: str, outputs: Outputs, size: tuple[int, int], data: bytes) -> Row:
        judge, contract = self._judge, self._judge.contract
        found = Finding.of(outputs, judge, size)
        decision = found.decision(0, None, found.encoded(data, self._max_pixels), {})
        model = ModelVersion(name=contract.name, version=contract.version)
        return decided(name, model, decision, judge.options)
