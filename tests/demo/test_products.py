"""The procedural products: reproducible, exactly masked, laid out as a data set."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demo.products import PRODUCTS, render_defective, render_normal
from demo.products.__main__ import main
from demo.products.product import AREA
from demo.products.tree import write_tree

DEFECTS = [(product, defect) for product, kind in PRODUCTS.items() for defect in kind.defects]


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("product", PRODUCTS)
def test_the_generator_alone_decides_the_picture(product: str) -> None:
    image, mask, defect = render_defective(product, rng(3))
    again, mask_again, defect_again = render_defective(product, rng(3))
    assert np.array_equal(image, again)
    assert np.array_equal(mask, mask_again)
    assert defect == defect_again
    assert np.array_equal(render_normal(product, rng(3)), render_normal(product, rng(3)))
    assert not np.array_equal(render_normal(product, rng(3)), render_normal(product, rng(4)))


@pytest.mark.parametrize(("product", "defect"), DEFECTS)
def test_the_mask_is_what_the_defect_changed(product: str, defect: str) -> None:
    flawless = render_normal(product, rng(5)).astype(int)
    image, mask, name = PRODUCTS[product].defective(rng(5), 256, defect)
    change = np.abs(image.astype(int) - flawless).max(axis=-1)
    masked = mask == 255
    assert name == defect
    assert set(np.unique(mask)) == {0, 255}
    assert AREA[0] <= masked.mean() <= AREA[1]
    assert np.median(change[masked]) > 12
    assert change[~masked].max() <= 14  # the limit of the mask, plus the change of the noise


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("size", [128, 320])
def test_any_size(product: str, size: int) -> None:
    image, mask, _ = render_defective(product, rng(1), size)
    assert image.shape == (size, size, 3)
    assert image.dtype == np.uint8
    assert mask.shape == (size, size)
    assert mask.dtype == np.uint8


@pytest.mark.parametrize("product", PRODUCTS)
def test_normal_pictures_vary_within_bounds(product: str) -> None:
    images = np.stack([render_normal(product, rng(seed), 128) for seed in range(8)]).astype(float)
    colours = images.mean(axis=(1, 2))  # (N, 3)
    assert 0 < colours.std(axis=0).max() < 14
    assert (images > 254).mean() < 0.05


def thumbnail(product: str, seed: int) -> np.ndarray:
    blocks = render_normal(product, rng(seed), 128).reshape(16, 8, 16, 8, 3)
    return blocks.mean(axis=(1, 3))


def test_products_differ_more_from_each_other_than_within() -> None:
    for one, other in itertools.combinations(PRODUCTS, 2):
        within = np.abs(thumbnail(one, 0) - thumbnail(one, 1)).mean()
        assert np.abs(thumbnail(one, 0) - thumbnail(other, 0)).mean() > 1.5 * within, (one, other)


def test_a_tree_in_the_layout_of_mvtec(tmp_path: Path) -> None:
    counts = {"train": 2, "test_good": 1, "test_defective": 3}
    assert write_tree(tmp_path, **counts, seed=0, size=64, products=["metal"]) == 6
    files = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.*")}
    good = {Path("metal/train/good/0000.jpg"), Path("metal/train/good/0001.jpg")}
    assert good | {Path("metal/test/good/0000.jpg")} <= files
    defective = {p for p in files if p.parts[1] == "test" and p.parts[2] != "good"}
    masks = {p for p in files if p.parts[1] == "ground_truth"}
    assert len(defective) == 3
    assert masks == {
        Path("metal/ground_truth", *path.parts[2:]).with_suffix(".png") for path in defective
    }
    for path in masks:
        assert set(np.unique(np.asarray(Image.open(tmp_path / path)))) == {0, 255}


def test_a_larger_tree_extends_a_smaller_one_and_another_seed_is_fresh(tmp_path: Path) -> None:
    def tree(name: str, number: int, seed: int) -> dict[Path, bytes]:
        root = tmp_path / name
        write_tree(
            root,
            train=number,
            test_good=number,
            test_defective=number,
            seed=seed,
            size=64,
            products=["wood"],
        )
        return {path.relative_to(root): path.read_bytes() for path in root.rglob("*.jpg")}

    small, large, fresh = tree("small", 2, 0), tree("large", 3, 0), tree("fresh", 3, 1)
    assert small.items() <= large.items()
    assert not set(large.values()) & set(fresh.values())
    assert len(set(large.values())) == 9


def test_the_command_writes_every_product(tmp_path: Path) -> None:
    counts = {"train": 1, "test-good": 1, "test-defective": 1, "size": 96, "seed": 2}
    main(["--out", str(tmp_path), *(f"--{name}={count}" for name, count in counts.items())])
    assert {path.name for path in tmp_path.iterdir()} == set(PRODUCTS)
    assert len(list(tmp_path.rglob("*.jpg"))) == 3 * len(PRODUCTS)


def test_the_samples_in_the_documentation_are_the_command_s(tmp_path: Path) -> None:
    committed = Path(__file__).parents[2] / "docs" / "samples"
    main(["--samples", str(tmp_path)])
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {path.name for path in committed.iterdir()}
    assert {"ring-normal.jpg", "blister-missing-tablet.jpg"} <= names
    for name in names:
        image, sample = (np.asarray(Image.open(folder / name)) for folder in (tmp_path, committed))
        assert np.abs(image.astype(int) - sample).mean() < 1
        assert (committed / name).stat().st_size <= 60_000
