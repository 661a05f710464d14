"""The normal images of a gauge: what it knows of each, beside a run or a published model.

The rows of a library are what a run's evidence has: the references, which new images are compared
with, and those calibrated on, which may be the same.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from onegauge.library.errors import LibraryError
from onegauge.library.likeness import NEIGHBOURS, Array, Rows

FILE = "library.npz"  # beside the graph of a version
FORM = 3  # of likeness, alignment and novelty: what was decided in another holds for that alone
TEXTS = "texts"
OF_A_ROW = ("maps", "deviations", "quarters", "oddness", "memories", "usual", "places")
ID_DIGITS = 12  # of the SHA-256 of a file, which is the id of what it shows


class Origin(NamedTuple):
    """Where a normal image comes from."""

    name: str  # below the folder that it was read from
    digest: str  # SHA-256 of the file
    width: int  # pixels
    height: int
    added: int  # seconds since 1970

    @property
    def id(self) -> str:
        """What it is called by."""
        return self.digest[:ID_DIGITS]


class Rates(NamedTuple):
    """What a gauge is to promise, and what makes its scores."""

    false_alarm_rate: float
    novelty_rate: float
    score_share: float


@dataclass(frozen=True)
class Added:
    """Q new pictures of R rows in all, whole ones or tiles, as a library takes them."""

    maps: NDArray[np.float16]  # (R, h, w)
    deviations: Array  # (R, D)
    quarters: Array  # (R, 4, D)
    oddness: Array  # (R,)
    memories: NDArray[np.int8]  # (R, M, A)
    usual: NDArray[np.float16]  # (R, M)
    places: NDArray[np.int32]  # (R, M)
    thumbnails: tuple[bytes, ...]  # (R,)
    pictures: Rows  # (R,) from 0
    parts: Rows  # (Q,) that each picture shows: one of the library's, or a number above these
    products: tuple[str, ...]  # (Q,)
    origins: tuple[Origin, ...]  # (Q,)


@dataclass(frozen=True)
class Library:
    """T rows of normal images, of which N are references, and the P pictures that they are of."""

    maps: NDArray[np.float16]  # (T, h, w) raw, each as if nothing had seen its part
    deviations: Array  # (T, D)
    quarters: Array  # (T, 4, D)
    parts: Rows  # (T,) that each shows, told or found
    groups: Rows  # (T,) that each is of: a part that was told, or a picture with its tiles
    own: Rows  # (T, 2) the first and the last group that must not tell how each scores
    pictures: Rows  # (T,) that each is, or is a tile of
    references: Rows  # (N,) rows of what new images are compared with
    held_out: Rows  # (n,) rows of what is calibrated on
    oddness: Array  # (N,) scores of their maps by plain distances
    memories: NDArray[np.int8]  # (N, M, A) patches of the references
    usual: NDArray[np.float16]  # (N, M) what a distance to each is divided by
    places: NDArray[np.int32]  # (N, M) pixels of the map that they were seen at
    thumbnails: tuple[bytes, ...]  # (N,) JPEG
    products: tuple[str, ...]  # (T,) from the folders' names, for forms that are told them
    origins: tuple[Origin, ...]  # (P,)
    rates: Rates
    inspected: NDArray[np.bool_] | None = None  # (h, w), the pixels of maps that count; None: all
    form: int = FORM  # that its maps and the graph beside it were made in

    def __len__(self) -> int:
        """How many references there are."""
        return len(self.references)

    def with_pictures(self, added: Added) -> Library:
        """The library with some more pictures behind the others.

        A part counts once: of a new one a picture is calibrated on, of a known one none is that was
        not, and what is scores without all pictures of its part.
        """
        rows = len(self.maps) + np.arange(len(added.maps))
        own = np.stack([self._groups_of(part) for part in added.parts.tolist()])  # (Q, 2)
        once = one_of_each(added.parts)
        once = once[added.parts[once] > self.parts.max()]
        new: dict[str, Any] = {
            **{name: getattr(added, name) for name in OF_A_ROW},
            "parts": added.parts[added.pictures],
            "groups": own[added.pictures, 1],
            "own": own[added.pictures],
            "pictures": len(self.origins) + added.pictures,
            "references": rows,
            "held_out": rows[np.isin(added.pictures, once)],
        }
        joined: dict[str, Any] = {
            name: np.concatenate([getattr(self, name), value]) for name, value in new.items()
        }
        return replace(
            self,
            **joined,
            thumbnails=(*self.thumbnails, *added.thumbnails),
            products=(*self.products, *(added.products[p] for p in added.pictures)),
            origins=(*self.origins, *added.origins),
        )

    def _groups_of(self, part: int) -> tuple[int, int]:
        """The first and the last group of a part; one of its own for a part that is new."""
        known = self.groups[self.parts == part]
        if len(known):
            return int(known.min()), int(known.max())
        new = int(self.groups.max() + part - self.parts.max())
        return new, new

    @property
    def apart(self) -> Rows:
        """Rows (N,) of the references as they set the threshold, as far as they do."""
        return set_apart(self.references, self.held_out, self.pictures)

    @property
    def known(self) -> frozenset[str]:
        """The digests of the references' files."""
        return frozenset(self.origins[p].digest for p in self.pictures[self.references])

    def without(self, gone: Rows) -> Library:
        """The library but for some pictures, which keep their numbers."""
        stay = ~np.isin(self.pictures, gone)  # (T,)
        place = np.cumsum(stay) - 1
        kept = stay[self.references]  # (N,)
        thumbnails = tuple(t for t, k in zip(self.thumbnails, kept, strict=True) if k)
        return replace(
            self,
            maps=self.maps[stay],
            deviations=self.deviations[stay],
            quarters=self.quarters[stay],
            parts=self.parts[stay],
            groups=self.groups[stay],
            own=self.own[stay],
            pictures=self.pictures[stay],
            products=tuple(p for p, s in zip(self.products, stay, strict=True) if s),
            references=place[self.references[kept]],
            held_out=place[self.held_out[stay[self.held_out]]],
            oddness=self.oddness[kept],
            memories=self.memories[kept],
            usual=self.usual[kept],
            places=self.places[kept],
            thumbnails=thumbnails,
        )

    def save(self, file: Path) -> None:
        """Write the file that lies beside the graph."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        arrays = {name: v for name, v in values.items() if isinstance(v, np.ndarray)}
        texts = {name: values[name] for name in ("products", "origins", "rates", "form")}
        arrays[TEXTS] = np.frombuffer(json.dumps(texts).encode(), np.uint8)
        arrays |= packed(self.thumbnails)
        np.savez_compressed(file, allow_pickle=False, **arrays)


def set_apart(references: Rows, held_out: Rows, pictures: Rows) -> Rows:
    """The row (N,) of each reference (N,), or that of the same image among those held out (n,).

    References are in the order of the `pictures` (T,); one of which some tiles alone are references
    is taken as it is.
    """
    rows, count = references.copy(), 1 + int(pictures.max())
    held_out = held_out[pictures[held_out].argsort(kind="stable")]
    known, held = pictures[references], pictures[held_out]
    whole = np.bincount(known, minlength=count) == np.bincount(held, minlength=count)
    rows[whole[known]] = held_out[whole[held]]
    return rows


def one_of_each(groups: Rows) -> Rows:
    """One picture of each group (Q,), drawn at random: of a new part, too, any may come."""
    order = np.random.default_rng(len(groups)).permutation(len(groups))
    return order[np.unique(groups[order], return_index=True)[1]]


def load(file: Path) -> Library:
    """Read the file of a version; raises LibraryError where there is none, or it is damaged."""
    try:
        with file.open("rb") as content, np.load(content) as arrays:
            return restored({name: arrays[name] for name in arrays.files})
    except FileNotFoundError as exc:
        raise LibraryError(
            f"{file} is not there: the model keeps no library of its normal images, as one of "
            f"another detector than gallery, of fewer than {NEIGHBOURS} images, or of an older "
            "onegauge, whose run can be exported anew"
        ) from exc
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile, zlib.error) as exc:
        raise LibraryError(f"{file} is damaged: {exc}; export the model anew") from exc


def restored(arrays: dict[str, NDArray[Any]]) -> Library:
    """The library of what `save` wrote; raises ValueError, KeyError and TypeError."""
    texts: Mapping[str, Any] = json.loads(arrays.pop(TEXTS).tobytes())
    return Library(
        products=tuple(texts["products"]),
        origins=tuple(Origin(*origin) for origin in texts["origins"]),
        rates=Rates(*texts["rates"]),
        form=texts.get("form", 0),  # the first ones do not tell theirs
        thumbnails=unpacked(arrays),
        **arrays,
    )


def packed(pictures: Sequence[bytes]) -> dict[str, NDArray[Any]]:
    """Files as two arrays."""
    ends = np.cumsum([len(picture) for picture in pictures])
    content = np.frombuffer(bytearray().join(pictures), np.uint8)
    return {"thumbnails": content, "thumbnail_ends": ends}


def unpacked(arrays: dict[str, NDArray[Any]]) -> tuple[bytes, ...]:
    """The files of `packed`, which are taken out of the arrays."""
    content, ends = arrays.pop("thumbnails"), arrays.pop("thumbnail_ends")
    return tuple(part.tobytes() for part in np.split(content, ends[:-1]))
