import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from onegauge.library.errors import LibraryError
from onegauge.library.library import FORM, Added, Library, Origin, Rates, load, set_apart


def library(*, pictures: int = 4, tiles: int = 2) -> Library:
    """Pictures of so many tiles, all of which are references and calibrated on."""
    rows = np.arange(pictures * tiles)
    rng = np.random.default_rng(0)
    groups = rows // tiles
    return Library(
        maps=rng.random((len(rows), 4, 4)).astype(np.float16),
        deviations=rng.random((len(rows), 3)).astype(np.float32),
        quarters=rng.random((len(rows), 4, 3)).astype(np.float32),
        parts=groups,
        groups=groups,
        own=np.stack([groups, groups], 1),
        pictures=groups,
        references=rows,
        held_out=rows,
        oddness=rng.random(len(rows)).astype(np.float32),
        memories=rng.integers(-9, 9, (len(rows), 2, 3)).astype(np.int8),
        usual=np.ones((len(rows), 2), np.float16),
        places=np.zeros((len(rows), 2), np.int32),
        thumbnails=tuple(bytes([row] * (row + 1)) for row in rows.tolist()),
        products=("part",) * len(rows),
        origins=tuple(origin(number) for number in range(pictures)),
        rates=Rates(0.05, 0.001, 0.01),
    )


def origin(number: int) -> Origin:
    return Origin(f"ü\udcff{number}.png", f"{number:064x}", 96, 64, 1_800_000_000)


def assert_same(found: Library, expected: Library) -> None:
    for name, value in vars(expected).items():
        if isinstance(value, np.ndarray):
            assert np.array_equal(getattr(found, name), value), name
            assert getattr(found, name).dtype == value.dtype, name
        else:
            assert getattr(found, name) == value, name


def added(pictures: int, tiles: int, parts: list[int]) -> Added:
    of = library(pictures=pictures, tiles=tiles)
    arrays = {
        name: getattr(of, name)
        for name in ("maps", "deviations", "quarters", "oddness", "memories", "usual", "places")
    }
    origins = tuple(origin(100 + number) for number in range(pictures))
    products = tuple(f"new {number}" for number in range(pictures))
    beside = (of.thumbnails, of.pictures, np.array(parts), products, origins)
    return Added(*arrays.values(), *beside)


def test_a_library_comes_back_from_its_file_as_it_was(tmp_path):
    kept = library()
    kept.save(tmp_path / "library.npz")
    assert_same(load(tmp_path / "library.npz"), kept)


def test_a_library_tells_the_form_that_it_was_made_in(tmp_path):
    file = tmp_path / "library.npz"
    replace(library(), form=1).save(file)
    assert load(file).form == 1
    arrays = dict(np.load(file))
    texts = json.loads(arrays["texts"].tobytes())
    del texts["form"]
    arrays["texts"] = np.frombuffer(json.dumps(texts).encode(), np.uint8)
    np.savez(file, **arrays)
    assert load(file).form != FORM


@pytest.mark.parametrize("spoil", [lambda d: d[:-200], lambda _: b"", lambda d: b"x" + d[1:]])
def test_a_damaged_file_is_an_error_with_its_name(tmp_path, spoil):
    file = tmp_path / "library.npz"
    library().save(file)
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(LibraryError, match="library.npz is damaged"):
        load(file)


def test_a_model_without_a_library_says_so(tmp_path: Path):
    with pytest.raises(LibraryError, match="keeps no library.* of fewer than 40 images"):
        load(tmp_path / "library.npz")


def test_a_picture_leaves_with_all_its_tiles_and_the_others_keep_what_is_theirs():
    whole = library()
    less = whole.without(np.array([1]))
    assert less.pictures.tolist() == [0, 0, 2, 2, 3, 3]
    assert less.references.tolist() == less.held_out.tolist() == [*range(6)]
    assert np.array_equal(less.maps, np.delete(whole.maps, [2, 3], 0))
    assert np.array_equal(less.memories, np.delete(whole.memories, [2, 3], 0))
    assert less.thumbnails == whole.thumbnails[:2] + whole.thumbnails[4:]
    assert len(less) == 6
    assert less.known == {whole.origins[p].digest for p in (0, 2, 3)}


def test_new_pictures_come_behind_and_are_of_groups_of_their_own():
    more = library().with_pictures(added(3, 2, parts=[4, 5, 4]))
    assert more.pictures.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]
    assert more.groups[8:].tolist() == [4, 4, 5, 5, 4, 4]
    assert more.own[8:].tolist() == [[g, g] for g in (4, 4, 5, 5, 4, 4)]
    assert more.references.tolist() == [*range(14)]
    assert more.origins[4].id == f"{100:064x}"[:12]
    assert more.products[8:] == ("new 0", "new 0", "new 1", "new 1", "new 2", "new 2")
    assert len(more.thumbnails) == 14


def test_of_a_new_part_one_picture_is_calibrated_on_with_all_its_tiles():
    more = library().with_pictures(added(3, 2, parts=[4, 5, 4]))
    new = more.held_out[more.held_out >= 8]
    pictures = more.pictures[new].tolist()
    assert pictures in ([4, 4, 5, 5], [5, 5, 6, 6])


def test_new_pictures_of_a_known_part_leave_it_out_and_are_not_calibrated_on():
    known = library()
    two_groups = replace(known, parts=known.parts.clip(max=2))  # of part 2 in training's form
    more = two_groups.with_pictures(added(3, 2, parts=[2, 1, 3]))
    assert more.parts[8:].tolist() == [2, 2, 1, 1, 3, 3]
    assert more.groups[8:].tolist() == [3, 3, 1, 1, 4, 4]
    assert more.own[8:].tolist() == [[2, 3], [2, 3], [1, 1], [1, 1], [4, 4], [4, 4]]
    assert more.held_out[8:].tolist() == [12, 13]
    assert len(np.unique(more.groups)) == 5


def test_what_comes_and_leaves_again_changes_nothing():
    whole = library()
    more = whole.with_pictures(added(2, 2, parts=[4, 5]))
    back = more.without(np.array([4, 5]))
    assert back.origins[: len(whole.origins)] == whole.origins
    for name in ("maps", "groups", "own", "references", "held_out", "memories", "pictures"):
        assert np.array_equal(getattr(back, name), getattr(whole, name)), name


def test_references_are_set_apart_as_they_were_held_out_tile_by_tile():
    pictures = np.repeat([0, 1, 2, 3, 1, 0, 4], 2)  # 0 and 1 a second time, 4 held out alone
    references, held_out = np.arange(8), np.array([4, 5, 8, 9, 10, 11, 12, 13])
    assert set_apart(references, held_out, pictures).tolist() == [10, 11, 8, 9, 4, 5, 6, 7]
    assert set_apart(references, held_out[-2:], pictures).tolist() == references.tolist()
    some = references[1:]  # drawn at random where they are too many
    assert set_apart(some, held_out, pictures).tolist() == [1, 8, 9, 4, 5, 6, 7]


def test_what_is_added_or_removed_stays_as_it_was_set_apart():
    assert np.array_equal(library().apart, library().references)
    grown = library().with_pictures(added(3, 2, [0, 0, 1])).without(np.array([1]))
    assert np.array_equal(grown.apart, grown.references)
