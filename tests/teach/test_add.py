import shutil
from pathlib import Path

import numpy as np
import pytest

from demo.products.tree import write_tree
from onegauge.export.errors import VerificationError
from onegauge.library.fit import Fit
from onegauge.library.library import FILE, load
from onegauge.service.model.repository import served_version, stored_versions
from onegauge.teach import add as adding
from onegauge.teach.add import add
from onegauge.teach.errors import TeachingError
from onegauge.teach.target import target_of
from onegauge.training.choice import NO_CHOICE
from onegauge.training.evaluation.evaluate import both_kinds
from onegauge.training.evaluation.published import evaluate_published
from onegauge.training.evaluation.readings import Readings
from onegauge.training.progress import Progress
from tests.teach.conftest import NAME, call_constants_as_before, shots


def teach(repository: Path, data: Path, group_by: str | None = None, **options: bool) -> str:
    return add(target_of(repository, NAME, **options), data, group_by, NO_CHOICE)


def readings(repository: Path, data: Path) -> Readings:
    return evaluate_published(repository / NAME, both_kinds(data), Progress()).readings


def test_a_new_product_is_known_and_its_defects_are_found(repository, rings, capsys):
    before = readings(repository, rings)
    assert (before.novelty >= 1).all()
    assert teach(repository, rings) == f"published {repository / NAME / '2'}"
    after = readings(repository, rings)
    assert (after.novelty < 1).mean() >= 0.9
    assert (after.score[~after.anomalous] < 1).mean() >= 0.8
    assert (after.score[after.anomalous] >= 1).mean() >= 0.8
    ranks = after.p_value * (80 + 1)  # among 80 images now
    assert np.allclose(ranks, ranks.round(), atol=1e-3)
    assert ((after.p_value <= 0.05) == (after.score >= 1)).all()
    told = " ".join(capsys.readouterr().err.split())
    assert "20 images become references, 80 in all; before, 20 of them were flagged and 20" in told


def test_what_was_known_is_decided_as_before(repository, rings, product_tree):
    before = readings(repository, product_tree)
    teach(repository, rings)
    after = readings(repository, product_tree)
    assert ((before.score >= 1) == (after.score >= 1)).mean() >= 0.9
    assert (after.novelty < 1).mean() >= 0.9


def test_the_version_tells_what_it_is_and_the_one_before_is_as_it_was(repository, rings):
    (before,) = (path.read_bytes() for path in (repository / NAME / "1").glob("model.onnx"))
    old = served_version(repository / NAME).contract.parameters
    teach(repository, rings)
    new = served_version(repository / NAME).contract.parameters
    assert (old["references"], new["references"]) == ("60", "80")
    assert (old["training_images"], new["training_images"]) == ("60", "80")
    assert new["calibration_images"] == "80"
    assert new["parent_version"] == "1"
    assert new["false_alarm_rate"] == old["false_alarm_rate"]
    assert float(new["novelty_rate"]) < float(old["novelty_rate"])  # which more images carry
    assert (repository / NAME / "1" / "model.onnx").read_bytes() == before


def test_a_candidate_is_added_but_not_served(repository, rings):
    assert teach(repository, rings, candidate=True) == f"added {repository / NAME / '2'}"
    assert stored_versions(repository / NAME) == [1, 2]
    assert served_version(repository / NAME).contract.version == "1"


def test_images_are_added_once(repository, rings, product_tree, tmp_path, capsys):
    mixed = tmp_path / "mixed"
    shutil.copytree(product_tree / "wood" / "train", mixed / "known")
    shutil.copytree(rings / "ring" / "train", mixed / "new")
    shutil.copytree(rings / "ring" / "train", mixed / "again")
    teach(repository, mixed)
    assert "40 of 60 images are in the library already" in capsys.readouterr().err
    assert len(load(repository / NAME / "2" / FILE)) == 80
    with pytest.raises(TeachingError, match="all 60 images in .* are in the library already"):
        teach(repository, mixed)


def test_images_of_one_part_are_left_out_together_and_calibrate_once(repository, rings):
    teach(repository, rings, group_by=r"(\d\d\d)\d\.")
    library = load(repository / NAME / "2" / FILE)
    assert len(library) == 80
    assert len(np.unique(library.groups[60:])) == 2
    assert int((library.held_out >= 60).sum()) == 2
    neighbours = Fit.of(library).neighbours(np.arange(60, 80))
    used = neighbours.weights > 0
    of_own = library.groups[neighbours.rows] == library.groups[60:, None]
    assert not (used & of_own).any()


def test_near_copies_among_what_is_added_count_as_one_part(repository, tmp_path, capsys):
    counts = {"train": 5, "test_good": 0, "test_defective": 0}
    write_tree(tmp_path / "wood", **counts, seed=5, size=128, products=("wood",))
    shots(tmp_path / "wood" / "wood" / "train" / "good", tmp_path / "shots")
    teach(repository, tmp_path / "shots")
    library = load(repository / NAME / "2" / FILE)
    shown = library.parts[60:].reshape(5, 3)
    assert (shown == shown[:, :1]).all()
    assert len({*shown[:, 0]}) == 5
    assert int((library.held_out >= 60).sum()) == 5
    told = " ".join(capsys.readouterr().err.split())
    assert "15 of 15 images are near-copies of each other, and 0 of references" in told
    assert "they count as 5 new parts" in told


def test_near_copies_of_references_are_of_their_parts_and_calibrate_nothing(
    repository, product_tree, tmp_path, capsys
):
    shots(product_tree / "wood" / "train" / "good", tmp_path / "shots", count=1)
    teach(repository, tmp_path / "shots")
    before, after = (load(repository / NAME / version / FILE) for version in "12")
    found = np.flatnonzero(after.parts[60:] <= before.parts.max())
    assert len(found) >= 14  # of 20, though but thumbnails of the references are kept
    wood = before.parts[np.array(before.products) == "wood"]  # in the order of the names
    assert (after.parts[60:][found] == wood[found]).all()
    assert not np.isin(after.held_out, 60 + found).any()
    assert np.isin(before.held_out, after.held_out).all()
    neighbours = Fit.of(after).neighbours(np.arange(80))
    of_own = (after.parts[neighbours.rows] == after.parts[:, None]) & (neighbours.weights > 0)
    assert not of_own.any()
    told = f"0 of 20 images are near-copies of each other, and {len(found)} of references"
    assert told in capsys.readouterr().err


def test_what_is_added_may_be_of_known_parts_alone(repository, product_tree, tmp_path, capsys):
    shots(product_tree / "wood" / "train" / "good", tmp_path / "shots", count=1)
    for file in sorted((tmp_path / "shots").iterdir())[2:]:
        file.unlink()
    teach(repository, tmp_path / "shots")
    assert len(load(repository / NAME / "2" / FILE).held_out) == 60
    told = " ".join(capsys.readouterr().err.split())
    assert "2 of references" in told
    assert "; all of known parts, so that none is calibrated on" in told


def test_new_references_score_as_images_that_are_left_out(repository, rings):
    teach(repository, rings)
    fit = Fit.of(load(repository / NAME / "2" / FILE))
    assert (fit.scores(np.arange(60, 80)) >= 1).mean() <= 0.25
    assert fit.scores(np.arange(60, 80)).max() > -1  # and do not find themselves


def test_a_graph_that_differs_from_its_library_is_not_published(repository, rings, monkeypatch):
    def spoilt(*given):
        found = grown(*given)
        monkeypatch.setattr("onegauge.teach.change.replace_constants", lambda *_: None)
        return found

    grown = adding.grown
    monkeypatch.setattr(adding, "grown", spoilt)
    with pytest.raises(VerificationError, match="differs from its library"):
        teach(repository, rings)
    assert stored_versions(repository / NAME) == [1]


def test_a_graph_of_an_older_onegauge_is_refused(repository, rings):
    call_constants_as_before(repository, "novelty.bank", "novelty.quarters.0.bank")
    with pytest.raises(
        TeachingError, match=r"older onegauge, without the constant 'novelty\.bank'"
    ):
        teach(repository, rings)


def test_unreadable_images_are_named_and_many_are_refused(repository, rings, tmp_path, capsys):
    folder = tmp_path / "images"
    shutil.copytree(rings / "ring" / "train" / "good", folder)
    (folder / "bad.png").write_bytes(b"no image")
    teach(repository, folder)
    assert "bad.png" in capsys.readouterr().err
    for number in range(3):
        (folder / f"worse{number}.png").write_bytes(b"no image")
    with pytest.raises(TeachingError, match="4 of 24 images cannot be read"):
        teach(repository, folder)
