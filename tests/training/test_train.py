import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from timm import create_model

from onegauge.training.checkpoint import Checkpoint, load, load_verification_images
from onegauge.training.config import TrainConfig
from onegauge.training.data.dataset import picture_of
from onegauge.training.data.layouts import layout
from onegauge.training.errors import CheckpointError, DataError, TrainingError
from onegauge.training.progress import Progress
from onegauge.training.train import choose_device, train


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty small noise images."""
    return noise(tmp_path_factory.mktemp("noise"), range(20))


def noise(folder: Path, seeds: range) -> Path:
    """The folder with a small image of each seed."""
    for i in seeds:
        pixels = np.random.default_rng(i).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02}.png")
    return folder


def config(data: Path, out: Path, **changes: object) -> TrainConfig:
    small = {"image_size": 64, "bank_size": 50, "epochs": 1, "batch_size": 4, "device": "cpu"}
    return TrainConfig(data, out, false_alarm_rate=0.1, **small | changes)


def scores(run: Checkpoint) -> torch.Tensor:
    with torch.inference_mode():
        return run.gauge()(load_verification_images(run.config.out)).score


@pytest.mark.parametrize("detector", ["gallery", "patchcore", "revdist"])
def test_the_same_seed_gives_the_same_scores(data, tmp_path, detector):
    first = train(config(data, tmp_path / "first", detector=detector))
    second = train(config(data, tmp_path / "second", detector=detector))
    assert torch.equal(scores(first), scores(second))
    assert scores(first).isfinite().all()


def test_a_split_calibrates_on_images_that_nothing_was_fitted_on_others_with_another_seed(
    data, tmp_path
):
    first = train(config(data, tmp_path / "first", calibration="split"))
    other = train(config(data, tmp_path / "other", calibration="split", seed=1))
    for run in (first, other):
        assert not run.calibration_files.keys() & {*run.fitted_files}
        assert run.images + run.calibration_images == 20
    assert first.calibration_files.keys() != other.calibration_files.keys()


def test_without_a_split_every_image_is_fitted_and_calibrated_on(data, tmp_path):
    run = train(config(data, tmp_path / "run"))
    assert {*run.calibration_files} == {*run.fitted_files} == {f.name for f in data.iterdir()}
    assert run.images == run.calibration_images == 20


def test_the_folder_is_walked_once_and_each_file_read_once(data, tmp_path, monkeypatch):
    called: list[str] = []

    def count(owner: object, function: str) -> None:
        original = getattr(owner, function)

        def counted(path: Path, *arguments, **options):
            if path.is_relative_to(data):
                called.append(f"{function} {path.name}")
            return original(path, *arguments, **options)

        monkeypatch.setattr(owner, function, counted)

    count(layout, "names_below")
    count(Path, "read_bytes")
    count(Path, "open")
    train(config(data, tmp_path / "run"))
    images = [path.name for path in data.iterdir()]
    once = {f"read_bytes {name}": 1 for name in images}
    opened = {f"open {name}": 2 for name in images}  # before, for the few bytes of its head
    assert Counter(called) == {f"names_below {data.name}": 1} | once | opened


def test_a_finished_run_keeps_no_working_state(data, tmp_path):
    train(config(data, tmp_path / "run"))
    assert not (tmp_path / "run" / "state").exists()


def interrupted(config: TrainConfig, during: str = "memories") -> TrainConfig:
    """The resumption of a run in which someone presses Ctrl-C when a step of this name begins."""
    begin = Progress.step

    def step(self: Progress, name: str, total: int):
        if name == during:
            raise KeyboardInterrupt
        return begin(self, name, total)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Progress, "step", step)
        with pytest.raises(KeyboardInterrupt):
            train(config)
    return replace(config, resume=True)


@pytest.mark.parametrize(
    ("changes", "during"),
    [
        ({"detector": "gallery"}, "usual"),
        ({"detector": "gallery"}, "scoring"),
        ({"detector": "gallery", "assume_clean": 0.9}, "scoring"),
        ({"detector": "patchcore"}, "scoring"),
        ({"detector": "revdist"}, "scoring"),
    ],
)
def test_an_interrupted_run_resumes_to_the_same_scores(data, tmp_path, changes, during):
    whole = train(config(data, tmp_path / "whole", **changes))
    resumed = train(interrupted(config(data, tmp_path / "broken", **changes), during))
    assert torch.equal(scores(resumed), scores(whole))


def test_resuming_a_finished_run_gives_it_back_and_says_so(data, tmp_path, capsys):
    finished = train(config(data, tmp_path / "run"))
    again = train(config(data, tmp_path / "run", resume=True))
    assert again.training_digest == finished.training_digest
    assert "finished already" in capsys.readouterr().err
    with pytest.raises(CheckpointError, match="another bank_size"):
        train(config(data, tmp_path / "run", resume=True, bank_size=60))


def test_what_is_trained_on_is_told_before_and_kept_in_the_run(data, tmp_path, capsys):
    root = tmp_path / "root"
    shutil.copytree(data, root / "good")
    (root / "NG").symlink_to(data)
    (tmp_path / "share").mkdir()
    (root / "linked").symlink_to(noise(tmp_path / "share", range(20, 40)))
    options = {"include": ("linked",), "exclude": ("linked/3*.png",)}
    finished = train(config(root, tmp_path / "run", **options))
    told = capsys.readouterr().out
    assert re.search(r"taken +30  for training: good \(20\), linked \(10\)", told)
    assert re.search(r"left out +20  the name means defects: NG \(20\)", told)
    assert load(tmp_path / "run").config.choice == finished.config.choice
    assert finished.images == finished.calibration_images == 30
    train(config(root, tmp_path / "run", **options, resume=True))
    with pytest.raises(CheckpointError, match="another exclude"):
        train(config(root, tmp_path / "run", **options | {"exclude": ()}, resume=True))


def test_a_linked_folder_is_resumed_on(data, tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "linked").symlink_to(data)
    begun = interrupted(config(tmp_path / "root", tmp_path / "run"))
    resumed = train(begun)
    assert resumed.images == 20


def test_images_that_have_changed_meanwhile_are_not_resumed_on(data, tmp_path):
    mine = shutil.copytree(data, tmp_path / "mine")
    begun = interrupted(config(mine, tmp_path / "run"))
    (mine / "07.png").unlink()
    with pytest.raises(CheckpointError, match="have changed"):
        train(begun)


def test_a_detector_that_was_torn_while_written_is_named(data, tmp_path):
    begun = interrupted(config(data, tmp_path / "run"), "scoring")
    (tmp_path / "run" / "state" / "detector.safetensors").write_bytes(b"torn")
    with pytest.raises(CheckpointError, match=r"detector\.safetensors.*remove it"):
        train(begun)


def test_images_that_vanish_once_they_are_read_are_not_missed(data, tmp_path, monkeypatch):
    mine = shutil.copytree(data, tmp_path / "mine")
    begin = Progress.step

    def step(self: Progress, name: str, total: int):
        if name == "memories":
            shutil.rmtree(mine)
        return begin(self, name, total)

    monkeypatch.setattr(Progress, "step", step)
    finished = train(config(mine, tmp_path / "run"))
    assert not mine.exists()
    assert scores(finished).isfinite().all()


def test_ctrl_c_tells_how_to_go_on(data, tmp_path, capsys):
    interrupted(config(data, tmp_path / "run"))
    assert "--resume" in capsys.readouterr().err


def without_weights(*arguments, **options):
    return create_model(*arguments, **options | {"pretrained": False})


@pytest.mark.parametrize(
    "wrong",
    [
        {"device": "abacus"},
        {"backbone": "no_such_network"},
        {"data": Path("absent")},
        {"detector": "revdist", "backbone": "resnet18", "stages": (1, 3)},
        {"detector": "revdist", "calibration": "leave-one-out"},
    ],
)
def test_a_run_that_cannot_begin_leaves_nothing_behind(data, tmp_path, wrong, monkeypatch):
    monkeypatch.setattr("timm.create_model", without_weights)
    with pytest.raises(TrainingError):
        train(replace(config(data, tmp_path / "run"), **wrong))
    assert not (tmp_path / "run").exists()


def test_too_many_unreadable_files_can_be_insisted_on_by_the_same_command(data, tmp_path):
    mixed = shutil.copytree(data, tmp_path / "mixed")
    for number in range(4):
        (mixed / f"bad{number}.png").write_bytes(b"no image")
    refused = config(mixed, tmp_path / "run")
    with pytest.raises(DataError, match="--allow-unreadable"):
        train(refused)
    assert len(train(replace(refused, allow_unreadable=True)).evidence.products) > 0


def test_images_that_are_all_alike_make_no_run(data, tmp_path):
    copies = tmp_path / "copies"
    copies.mkdir()
    for number in range(20):
        shutil.copy(data / "00.png", copies / f"{number}.png")
    with pytest.raises(DataError, match=r"1 images are too few \(19 files are copies of others\)"):
        train(config(copies, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_resuming_with_another_configuration_names_what_changed(data, tmp_path):
    begun = interrupted(config(data, tmp_path / "run"))
    with pytest.raises(CheckpointError, match="another bank_size.*'50'"):
        train(replace(begun, bank_size=60))


def test_a_folder_that_is_not_empty_is_refused_and_left_alone(data, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="not empty"):
        train(config(data, tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(("detector", "needed"), [("gallery", 99), ("revdist", 198)])
def test_a_nearly_empty_folder_is_told_how_many_images_it_takes(data, tmp_path, detector, needed):
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(data.iterdir())[:5]:
        shutil.copy(path, few)
    with pytest.raises(DataError, match=rf"5 images are too few: .*needs 10.*0\.01 needs {needed}"):
        train(TrainConfig(few, tmp_path / "run", detector, device="cpu"))


def test_a_device_that_there_is_not_is_named():
    assert choose_device("auto").type in ("cpu", "cuda")
    with pytest.raises(TrainingError, match="abacus"):
        choose_device("abacus")


def test_torch_computes_on_the_cores_that_it_may_use(monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {5}, raising=False)
    try:
        torch.set_num_threads(3)
        choose_device("cpu")
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_references_that_leave_none_to_compare_with_are_refused(data, tmp_path):
    with pytest.raises(DataError, match="of the 1 images .* raise --references"):
        train(config(data, tmp_path / "run", references=1))


@pytest.mark.parametrize(
    ("detector", "calibration", "fitted", "of", "calibrated"),
    [
        ("gallery", "leave-one-out", 8, 20, 20),
        ("gallery", "split", 8, 11, 9),
        ("revdist", "split", 11, 11, 9),
    ],
)
def test_no_more_references_are_kept_than_asked_for(
    data, tmp_path, capsys, detector, calibration, fitted, of, calibrated
):
    changes = {"detector": detector, "calibration": calibration, "references": 8}
    run = train(config(data, tmp_path / "run", **changes))
    assert len(run.evidence.references) == 8
    assert run.calibration_images == calibrated
    assert run.images == load(run.config.out).images == fitted
    assert f"8 of the {of} images" in capsys.readouterr().err
    assert scores(run).isfinite().all()


def test_a_gallery_of_some_images_remembers_those_that_neighbours_are_numbers_of(data, tmp_path):
    run = train(config(data, tmp_path / "run", calibration="split", references=8))
    seen = pixels_of(run, sorted(run.fitted_files))
    known = run.gauge()(seen).raw_score
    held_out = run.gauge()(pixels_of(run, sorted(run.calibration_files))).raw_score
    assert float(known.max()) < 0.5 * float(held_out.min())


def pixels_of(run: Checkpoint, names: list[str]) -> torch.Tensor:
    """Training images as the run sees them."""
    pictures = (picture_of(run.config.data / name, run.config.image_size) for name in names)
    return torch.stack([torch.from_numpy(picture.pixels[0]) for picture in pictures])


def test_an_image_that_all_memories_come_from_is_named(data, tmp_path):
    with pytest.raises(DataError, match=r"\d\d\.png can be compared with no other image"):
        train(config(data, tmp_path / "run", detector="patchcore", bank_size=1))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("detector", ["gallery", "uniad"])
@pytest.mark.parametrize("alike", ["black", "noise", "two"])
def test_frames_that_are_all_alike_are_refused_in_a_sentence(tmp_path, alike, detector):
    frames = tmp_path / "frames"
    frames.mkdir()
    rng = np.random.default_rng(0)
    two = rng.integers(0, 256, (2, 64, 64, 3), np.uint8)
    for number in range(20):
        pixels = two[number % 2] if alike == "two" else np.zeros((64, 64, 3), np.uint8)
        pixels = pixels + rng.integers(0, 2, pixels.shape, np.uint8) * (alike == "noise")
        Image.fromarray(pixels).save(frames / f"{number}.png")
    told = "show the same" if alike == "noise" else "files are copies of others"
    with pytest.raises(DataError, match=told):
        train(config(frames, tmp_path / "run", detector=detector))
    assert not (tmp_path / "run").exists()
