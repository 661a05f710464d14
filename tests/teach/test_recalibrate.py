import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from demo.products.tree import write_tree
from onegauge.export.errors import ExportError
from onegauge.export.export_run import Flavour, export_run
from onegauge.export.session import Session
from onegauge.library.fit import Fit
from onegauge.library.library import FILE
from onegauge.service.model.repository import served_version, stored_versions
from onegauge.teach.addition import read_pictures
from onegauge.teach.errors import TeachingError
from onegauge.teach.recalibrate import Recalibration, recalibrate, recalibration_of
from onegauge.teach.remove import Unwanted, remove
from onegauge.teach.share import Share
from onegauge.teach.target import Target, target_of
from onegauge.training.checkpoint import load
from onegauge.training.choice import NO_CHOICE
from onegauge.training.data.dataset import picture_of
from onegauge.training.progress import Progress
from tests.cli.command import status
from tests.service.served import in_process
from tests.teach.conftest import NAME, call_constants_as_before, shots

BRIGHTER = 1.3
OUTPUTS = (
    *("score", "anomaly_map", "p_value"),
    *("raw_score", "normal_location", "normal_scale", "novelty"),
)


@pytest.fixture(scope="module")
def brighter(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """New normal images of the three products in brighter light: to recalibrate on, and others."""
    root = tmp_path_factory.mktemp("brighter")
    counts = {"train": 20, "test_good": 0, "test_defective": 0}
    for seed in (1, 2):
        tree = root / str(seed)
        write_tree(tree, **counts, seed=seed, size=128, products=("cloth", "metal", "wood"))
        for file in tree.rglob("*.jpg"):
            light = ImageEnhance.Brightness(Image.open(file))
            light.enhance(BRIGHTER).save(file, quality=95)
    return root / "1", root / "2"


def found_for(
    target: Target, data: Path, rate: float | None, group_by: str | None
) -> Recalibration:
    pictures = read_pictures(target, data, group_by, NO_CHOICE, Progress())
    return recalibration_of(target, pictures, rate)


def found_in(
    folder: Path, data: Path, rate: float | None = None, group_by: str | None = None
) -> Recalibration:
    return found_for(target_of(folder, NAME), data, rate, group_by)


def teach(folder: Path, data: Path, rate: float | None = None) -> str:
    target = target_of(folder, NAME)  # whose graph, if it is a run, is traced once
    return recalibrate(target, found_for(target, data, rate, None))


def said(repository: Path, data: Path, size: int = 128) -> dict[str, np.ndarray]:
    """All outputs of the served version for the images below a folder."""
    images = np.concatenate([picture_of(f, size).pixels for f in sorted(data.rglob("*.jpg"))])
    session = Session(served_version(repository / NAME).model_file())
    found = session.outputs(OUTPUTS, ({"image": images[i : i + 8]} for i in range(0, 60, 8)))
    return dict(zip(OUTPUTS, found, strict=True))


def test_a_line_that_got_brighter_keeps_the_promise_again(repository, brighter):
    fresh, others = brighter
    before = Share.of(said(repository, others)["score"])
    assert before.interval[0] > 0.05  # the promise is broken
    assert teach(repository, fresh) == f"published {repository / NAME / '2'}"
    after = said(repository, others)
    assert Share.of(after["score"]).interval[0] <= 0.05
    assert ((after["score"] >= 1) == (after["p_value"] <= 0.05)).all()


def test_nothing_but_the_threshold_changes(repository, brighter, product_tree):
    before = said(repository, product_tree / "wood")
    teach(repository, brighter[0])
    after = said(repository, product_tree / "wood")
    for name in ("raw_score", "normal_location", "normal_scale", "novelty"):
        assert np.array_equal(before[name], after[name]), name
    unit = before["score"].std() / after["score"].std()
    zero = before["score"].mean() - unit * after["score"].mean()
    assert abs(zero) + abs(unit - 1) > 0.1  # another one
    assert np.allclose(before["anomaly_map"], zero + unit * after["anomaly_map"], atol=1e-3)
    one, two = (repository / NAME / version for version in "12")
    assert (one / FILE).read_bytes() == (two / FILE).read_bytes()


def test_the_version_tells_on_what_it_was_calibrated(repository, brighter):
    old = served_version(repository / NAME).contract
    teach(repository, brighter[0], rate=0.1)
    new = served_version(repository / NAME).contract
    changed = {k for k in new.parameters if new.parameters[k] != old.parameters.get(k)}
    assert changed - {"calibrated_at"} == {
        *("calibration", "calibration_scores", "false_alarm_rate", "model_digest"),
        "parent_version",
    }
    assert (new.parameters["calibration"], new.false_alarm_rate) == ("fresh", 0.1)
    assert new.calibration_images == 60
    assert new.calibrated_at >= old.calibrated_at


def test_a_gateway_serves_it(repository, brighter):
    fresh, others = brighter
    teach(repository, fresh)
    file = sorted(others.rglob("*.jpg"))[0]
    with in_process(repository, model=NAME) as client:
        answer = client.post("/v1/inspect", files={"image": file.read_bytes()}).json()
    (result,) = answer["results"]
    assert answer["model"]["version"] == "2"
    assert result["score"] == pytest.approx(said(repository, others)["score"][0], abs=1e-3)


def test_images_that_are_compared_with_are_left_out(
    repository, product_tree, brighter, tmp_path, capsys
):
    mixed = tmp_path / "mixed"
    shutil.copytree(product_tree / "wood" / "train", mixed / "known")
    shutil.copytree(brighter[0], mixed / "new")
    assert len(found_in(repository, mixed).chosen) == 60
    assert "20 of 80 images are in the library already" in capsys.readouterr().err
    with pytest.raises(TeachingError, match="are in the library already"):
        found_in(repository, product_tree)


def test_images_of_one_part_count_once(repository, brighter):
    found = found_in(repository, brighter[0], group_by=r"(\w+)/train/good/\d\d\d(\d)")
    assert len(found.chosen) == 30
    assert found.promise == 0.05
    with pytest.raises(TeachingError, match="3 fresh images, each of another new part, are too"):
        found_in(repository, brighter[0], group_by=r"(\w+)/train")


def test_near_copies_count_once_and_those_of_references_not_at_all(
    repository, product_tree, brighter, tmp_path, capsys
):
    shots(brighter[0] / "wood" / "train" / "good", tmp_path / "fresh" / "new", count=2)
    shots(product_tree / "wood" / "train" / "good", tmp_path / "fresh" / "known", count=1)
    found = found_in(repository, tmp_path / "fresh")
    parts = found.pictures.parts[found.chosen]
    assert len(found.pictures.parts) == 60
    of_known = int((found.pictures.parts < 60).sum())
    assert of_known >= 14  # of 20, though but thumbnails of the references are kept
    assert len({*parts}) == len(parts) == 20 + 20 - of_known
    assert (parts >= 60).all()
    told = " ".join(capsys.readouterr().err.split())
    assert f"40 of 60 images are near-copies of each other, and {of_known} of references" in told


def test_too_few_images_promise_less(repository, brighter):
    found = found_in(repository, brighter[0] / "wood")
    assert found.promise == 0.05
    assert "20 fresh images promise" not in " ".join(found.told())
    found = found_in(repository, brighter[0] / "wood", rate=0.01)
    assert found.promise == pytest.approx(1 / 21)
    assert "20 fresh images promise 4.76\N{NO-BREAK SPACE}% false alarms" in " ".join(found.told())


def test_a_new_product_is_no_matter_of_light(repository, rings, brighter):
    found = found_in(repository, rings)
    assert found.unknown.rate > 0.9
    assert any("if the product is new" in sentence for sentence in found.told())
    assert not found_in(repository, brighter[0]).is_new


def test_references_are_counted_before_and_now(repository, brighter):
    found = found_in(repository, brighter[0])
    was, now = found.flagged_references
    assert (was.images, now.images) == (60, 60)
    assert was.rate <= 0.05
    scores = Fit.of(target_of(repository, NAME).library).calibrated.scores
    assert now.count == int((scores >= found.threshold).sum())


def test_a_recalibration_is_recalibrated_and_lost_by_other_references(repository, brighter, capsys):
    teach(repository, brighter[0])
    threshold = target_of(repository, NAME).calibrated().span
    assert found_in(repository, brighter[1]).flagged.interval[0] <= 0.05
    remove(target_of(repository, NAME), Unwanted(groups=[0]))
    told = capsys.readouterr().err
    assert "recalibrate it anew" in told
    assert "59 normal images that stay" in told
    assert served_version(repository / NAME).contract.parameters["calibration"] == "leave-one-out"
    assert target_of(repository, NAME).calibrated().span != threshold


@pytest.mark.usefixtures("traced_before")
def test_a_run_is_recalibrated_as_its_model(trained_run, repository, brighter, tmp_path):
    run = Path(shutil.copytree(trained_run, tmp_path / "run"))
    teach(run, brighter[0] / "wood")
    teach(repository, brighter[0] / "wood")
    assert load(run).calibration_images == 20
    export_run(run, tmp_path / "exported", NAME)
    ours, theirs = (said(place, brighter[1]) for place in (tmp_path / "exported", repository))
    for name in OUTPUTS:
        assert np.allclose(ours[name], theirs[name], atol=2e-3), name
    told = served_version(tmp_path / "exported" / NAME).contract
    assert told.parameters["calibration"] == "fresh"
    with pytest.raises(ExportError, match="recalibrated on images that it does not keep"):
        export_run(run, tmp_path / "exported", "smaller", Flavour(precision="fp16"))


def test_a_gauge_without_a_library_is_recalibrated_too(patchcore_repository, brighter, tmp_path):
    repository = Path(shutil.copytree(patchcore_repository, tmp_path / "repository"))
    found = found_in(repository, brighter[0] / "wood")
    assert found.flagged_references is None
    assert found.promise == 0.05
    teach(repository, brighter[0] / "wood")
    after = said(repository, brighter[1], 64)
    levels = np.arange(1, 22) / 21  # of 20 images
    assert np.abs(after["p_value"][:, None] - levels).min(1).max() < 1e-6
    assert not (repository / NAME / "2" / FILE).exists()


def test_near_copies_count_once_where_no_library_is_kept(patchcore_repository, brighter, tmp_path):
    shots(brighter[0] / "wood" / "train" / "good", tmp_path / "shots", count=3)
    found = found_in(patchcore_repository, tmp_path / "shots")
    assert len(found.chosen) == 20
    assert found.promise == 0.05


def test_a_graph_of_an_older_onegauge_is_refused(patchcore_repository, brighter, tmp_path):
    repository = Path(shutil.copytree(patchcore_repository, tmp_path / "repository"))
    call_constants_as_before(repository, "calibration.", "gauge.calibration.")
    with pytest.raises(TeachingError, match="of an older onegauge"):
        found_in(repository, brighter[0])


def test_the_command_needs_no_torch_and_a_dry_run_changes_nothing(repository, brighter, tmp_path):
    absent = "; ".join(
        f"sys.modules[{name!r}] = None" for name in ("torch", "scipy", "sklearn", "matplotlib")
    )
    call = f"import sys; {absent}; from onegauge.cli import main; main(sys.argv[1:])"
    given = ["recalibrate", str(repository), "--name", NAME, "--data", str(brighter[0])]
    options = ["--out", str(tmp_path / "page"), "--dry-run"]
    done = subprocess.run(
        [sys.executable, "-c", call, *given, *options], capture_output=True, text=True, check=True
    )
    assert "fresh images are flagged as the gauge is" in done.stdout
    assert (tmp_path / "page" / "recalibration.html").exists()
    assert stored_versions(repository / NAME) == [1]
    assert status(*given, "--as-candidate") == 0
    assert stored_versions(repository / NAME) == [1, 2]
    assert served_version(repository / NAME).contract.version == "1"


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_a_rate_that_is_none_is_refused(repository, brighter, rate):
    with pytest.raises(TeachingError, match="must lie between 0 and 1"):
        found_in(repository, brighter[0], rate)
