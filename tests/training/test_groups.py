from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from onegauge.library.conformal import carried
from onegauge.training.backbones.neighbours import distances
from onegauge.training.backbones.retrieval import nearest
from onegauge.training.checkpoint import load
from onegauge.training.config import TrainConfig
from onegauge.training.errors import ConfigError, DataError
from onegauge.training.gauge.alignments import Cada, Look, References
from onegauge.training.gauge.calibration import Calibration
from onegauge.training.gauge.scoring import Scoring
from onegauge.training.groups import (
    groups_within,
    numbered,
    one_of_each,
    part_by_part,
    parts_by_name,
    require_expression,
)
from onegauge.training.train import train

PARTS, SHOTS = 40, 5


@pytest.mark.parametrize(
    ("group_by", "expected"),
    [
        (r"(part\d+)_", [0, 0, 1, 0]),
        (r"^(\w+)/part(\d+)", [0, 0, 1, 2]),
        ("folder", [0, 0, 0, 1]),
        ("(.+)", [0, 1, 2, 3]),
    ],
)
def test_names_tell_the_part(group_by, expected):
    names = ["left/part1_a.png", "left/part1_b.png", "left/part2_a.png", "right/part1_a.png"]
    parts = parts_by_name(names, group_by)
    assert numbered([parts[name] for name in names]).tolist() == expected


def test_a_name_that_does_not_tell_the_part_is_given():
    with pytest.raises(DataError, match=r"'\(p\\\\d\+\)' does not match left/odd\.png"):
        parts_by_name(["p1.png", "left/odd.png"], r"(p\d+)")


@pytest.mark.parametrize("group_by", [r"(p\d+)?", r"(\d*)\.png"])
def test_a_group_that_finds_nothing_tells_no_part(group_by):
    with pytest.raises(DataError, match=r"does not match left/odd\.png"):
        parts_by_name(["p1.png", "left/odd.png"], group_by)


@pytest.mark.parametrize(
    ("group_by", "told"),
    [("(", "no regular expression"), ("part.*", "has no group"), ("", "group")],
)
def test_an_expression_that_tells_no_part_is_refused_before_anything_is_read(group_by, told):
    with pytest.raises(ConfigError, match=told):
        TrainConfig(Path("data"), Path("run"), group_by=group_by)
    require_expression("folder")


def test_pictures_of_a_part_that_was_found_follow_each_other_as_groups():
    parts = np.array([0, 1, 0, 2, 1, 0])
    groups = part_by_part(parts)
    assert groups.tolist() == [0, 3, 1, 5, 4, 2]
    spans = groups_within(parts, groups, np.array([[0, 0], [1, 1], [2, 2], [1, 2], [0, 2]]))
    assert spans.tolist() == [[0, 2], [3, 4], [5, 5], [3, 5], [0, 5]]


def test_a_part_that_was_told_is_one_group_of_the_same_number():
    parts = np.array([0, 1, 0, 2, 1, 0])
    ends = np.array([[0, 0], [1, 2]])
    assert groups_within(parts, parts, ends).tolist() == ends.tolist()


def test_one_image_of_each_chosen_part_is_drawn_and_every_one_of_its_images_may_be():
    groups = np.repeat(np.arange(4), 3)
    drawn = [one_of_each(groups, np.array([0, 2]), seed) for seed in range(40)]
    assert all(groups[images].tolist() == [0, 2] for images in drawn)
    assert set(np.concatenate(drawn).tolist()) == {0, 1, 2, 6, 7, 8}
    alone = one_of_each(np.arange(9), np.array([1, 5]), 0)
    assert alone.tolist() == [1, 5]


def drawn_shots(parts: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Maps and embeddings of SHOTS images of each part, which differ little, and parts much."""

    def drawn(*shape: int) -> torch.Tensor:
        part = torch.randn(parts, *shape, generator=generator).repeat_interleave(SHOTS, 0)
        return part + 0.1 * torch.randn(part.shape, generator=generator)

    return 5 + drawn(8, 8), drawn(6)


def flagged(seed: int, groups: torch.Tensor, parts: torch.Tensor) -> float:
    """The share of images of new parts at 1.0 or more.

    What is usual is told without the `groups` of images, and the threshold set without their parts.
    """
    generator = torch.Generator().manual_seed(seed)
    maps, known = drawn_shots(PARTS, generator)
    looks = [
        Look(known, nearest(apart.masked_fill(own[:, None] == own, torch.inf)))
        for apart, own in ((distances(known, known), own) for own in (groups, parts))
    ]
    scoring = Scoring(0.1)
    aligner = Cada(References(maps, looks[0], ("",) * len(maps), scoring))
    held = torch.from_numpy(one_of_each(parts.numpy(), parts.unique().numpy(), seed))
    seen = scoring(aligner(maps[held], Look(known[held], looks[1].neighbours.of(held))).maps)
    maps, embedding = drawn_shots(PARTS, generator)
    new = scoring(aligner(maps, Look(embedding, nearest(distances(embedding, known)))).maps)
    return float((Calibration.of(seen, 0.05)(new) >= 1).float().mean())


def test_with_five_shots_of_a_part_the_promise_holds_for_new_parts():
    part, alone = torch.arange(PARTS).repeat_interleave(SHOTS), torch.arange(PARTS * SHOTS)
    for groups in (part, alone):  # parts were told, or found
        assert np.mean([flagged(seed, groups, part) for seed in range(20)]) <= 1.5 * carried(
            0.05, PARTS
        )
    taken_apart = np.mean([flagged(seed, alone, alone) for seed in range(3)])
    assert taken_apart > 3 * 0.05  # which is what parts are for


def config(data: Path, out: Path, **changes: object) -> TrainConfig:
    small = {"image_size": 64, "device": "cpu", "false_alarm_rate": 0.1}
    return TrainConfig(data, out, **small | changes)


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve parts, each with a texture of its own, photographed three times."""
    folder = tmp_path_factory.mktemp("shots")
    rng = np.random.default_rng(0)
    for part in range(12):
        grain = gaussian_filter(rng.standard_normal((72, 72, 3)), (1.5, 1.5, 0))
        for shot in range(3):
            y, x = rng.integers(0, 5, 2)
            seen = 128 + rng.normal(0, 5) + 150 * grain[y : y + 64, x : x + 64]
            noisy = seen + rng.normal(0, 2, seen.shape)
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{shot}-{part}.png")
    return folder


def parts_of(names: Iterable[str]) -> set[str]:
    return {Path(name).stem.split("-")[1] for name in names}


@pytest.mark.parametrize("group_by", [None, r"-(\d+)"])
def test_no_part_is_on_both_sides_of_the_split(shots, tmp_path, group_by, capsys):
    run = train(config(shots, tmp_path / "run", group_by=group_by, calibration="split"))
    told = capsys.readouterr().err
    assert ("36 of 36 images are near-copies" in told) == (group_by is None)
    assert ("12 parts, 12 in all" in told) == (group_by is None)
    assert "6 calibration images promise a false-alarm rate of 0.143, not 0.1" in told
    assert run.false_alarm_rate == pytest.approx(1 / 7)
    assert (run.calibration_images, run.images) == (6, 18)
    parts, known, held_out = (
        getattr(run.evidence, name) for name in ("parts", "references", "held_out")
    )
    assert parts[known].unique(return_counts=True)[1].tolist() == [3] * 6
    assert not set(parts[held_out].tolist()) & set(parts[known].tolist())
    assert len(parts_of(run.calibration_files)) == 6
    assert not parts_of(run.calibration_files) & parts_of(run.fitted_files)
    assert load(run.config.out).evidence.parts.tolist() == parts.tolist()


def test_one_shot_of_each_part_is_calibrated_on_where_parts_are_left_out(shots, tmp_path):
    run = train(config(shots, tmp_path / "run"))
    assert (run.calibration_images, run.images) == (12, 36)
    assert len(parts_of(run.calibration_files)) == 12
    assert len({name[0] for name in run.calibration_files}) > 1  # any shot, as of a new part


@pytest.fixture(scope="module")
def raw_scores(shots, tmp_path_factory) -> dict[str | None, tuple[float, float]]:
    """Mean of the maps that tell what is usual and of those that set the threshold, by group_by."""
    found = {}
    for group_by in (None, r"-(\d+)", "(.+)"):
        out = tmp_path_factory.mktemp("run") / "run"
        evidence = train(config(shots, out, group_by=group_by)).evidence
        sides = evidence.references, evidence.held_out
        found[group_by] = tuple(float(evidence.maps[rows].float().mean()) for rows in sides)
    return found


def test_the_threshold_is_set_beside_no_other_shot_of_a_part(raw_scores):
    among_shots = raw_scores["(.+)"][1]
    assert all(raw_scores[group_by][1] > 1.2 * among_shots for group_by in (None, r"-(\d+)"))


def test_what_is_usual_is_told_beside_shots_that_were_found_and_not_beside_those_told(raw_scores):
    among_shots = raw_scores["(.+)"][0]
    assert raw_scores[None][0] == pytest.approx(among_shots, rel=1e-3)
    assert raw_scores[r"-(\d+)"][0] > 1.2 * among_shots


@pytest.mark.parametrize("tile", [None, 32])
def test_what_sets_the_threshold_knows_its_own_part_alone(shots, tmp_path, tile):
    evidence = train(config(shots, tmp_path / "run", tile=tile)).evidence
    groups, parts = evidence.groups[evidence.references], evidence.parts[evidence.references]
    for row in evidence.held_out.tolist():
        first, last = evidence.own[row].tolist()
        barred = (groups >= first) & (groups <= last)
        assert torch.equal(barred, parts == evidence.parts[row])


@pytest.mark.parametrize("tile", [None, 32])
def test_parts_are_what_must_be_many(shots, tmp_path, tile):
    with pytest.raises(DataError, match=r"3 images are too few \(36 images show 3 parts"):
        train(config(shots, tmp_path / "run", group_by=r"(\d)-", tile=tile))
    assert not (tmp_path / "run").exists()


def test_shots_of_a_part_are_found_by_their_tiles(shots, tmp_path, capsys):
    run = train(config(shots, tmp_path / "run", tile=32))
    assert "36 of 36 images are near-copies" in capsys.readouterr().err
    shown = run.evidence.parts[run.evidence.references]
    assert shown.unique(return_counts=True)[1].tolist() == [12] * 12
    assert run.calibration_images == 12
