"""What another version decides on pictures that were kept."""

import asyncio
import json
import shutil

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onegauge.export.publish import add_version
from onegauge.records.previews import mask
from onegauge.service.model.repository import CONFIG, read_config
from onegauge.service.teaching.replay import chosen, replay, settings_for
from tests.cli.command import status
from tests.conftest import CELL, HEIGHT, WIDTH
from tests.records.made import record


@pytest.fixture
def repository(gauge_repository, gauge_model, tmp_path):
    """The gauge as version 1, and as version 2 one that finds nothing anomalous."""
    made = tmp_path / "repository"
    shutil.copytree(gauge_repository, made)
    model = onnx.load(gauge_model)
    for constant in model.graph.initializer:
        if constant.name == "threshold_grey":
            constant.CopyFrom(numpy_helper.from_array(np.float32(1024), "threshold_grey"))
    onnx.save(model, tmp_path / "duller.onnx")
    add_version(made, read_config(made / "onegauge", f"1/{CONFIG}"), tmp_path / "duller.onnx")
    return made


@pytest.fixture
def seen(history, pictures, normal, defective):
    """Remembers an inspection with a normal picture, or with a defective one."""

    def add(number, verdict=None, *, defect=False, masked=None, **fields):
        digest = pictures.put(defective if defect else normal)
        made = record(number, picture=digest, media_type="image/png", **fields)
        history.add([made], masked=masked and {made.id: masked})
        if verdict:
            history.judge(made.id, verdict, by="anna")
        return made

    return add


def effect_of(repository, history, pictures, **options):
    found = chosen(history, "onegauge", **options)
    settings = settings_for(repository, "onegauge")
    return asyncio.run(replay(settings, found, history, pictures, ("1", "2")))


def test_both_versions_decide_anew_on_every_picture(repository, history, pictures, seen):
    seen(0)
    seen(1, "confirmed")
    found = seen(2, "confirmed", defect=True, decision="anomalous")
    alarm = seen(3, "false_alarm", defect=True, decision="anomalous")
    effect = effect_of(repository, history, pictures)
    assert effect.no_longer_anomalous == [found.id, alarm.id]  # the loss before the newest
    assert (effect.newly_anomalous, effect.changed, effect.images) == ([], [0, 2], 4)
    shares = {verdict: vars(share) for verdict, share in effect.by_verdict.items()}
    assert shares["none"] == {"images": 1, "before": 0, "after": 0}
    assert shares["false_alarm"] == {"images": 1, "before": 1, "after": 0}
    assert shares["confirmed_normal"] == {"images": 1, "before": 0, "after": 0}
    assert shares["confirmed"] == {"images": 1, "before": 1, "after": 0}


def test_the_criterion_of_each_inspection_decides(repository, history, pictures, seen):
    seen(0, defect=True, threshold=0.2)
    seen(1, defect=True, threshold=None, max_false_alarm_rate=0.02)
    effect = effect_of(repository, history, pictures)
    assert effect.changed == [0, 1]  # by the rate; the score of 2 sinks to 0.25, above 0.2


def test_what_a_mask_left_out_is_left_out_again(repository, history, pictures, seen):
    height, width = HEIGHT // CELL, WIDTH // CELL
    left, right = np.zeros((2, height, width), bool)
    left[:, : width // 2] = right[:, width // 2 :] = True  # where the defect is
    seen(0, defect=True, masked=mask(left))
    found = seen(1, defect=True, masked=mask(right))
    effect = effect_of(repository, history, pictures)
    assert (effect.images, effect.failed) == (2, 0)
    assert effect.no_longer_anomalous == [found.id]


def test_marked_images_are_inspected_however_old(repository, history, pictures, seen):
    old, *_ = [seen(0, "missed", defect=True), *(seen(n) for n in range(1, 6))]
    effect = effect_of(repository, history, pictures, newest=2)
    assert effect.images == 3
    assert effect.no_longer_anomalous == [old.id]


def test_what_cannot_be_inspected_again_is_told(repository, history, pictures, seen):
    gone = seen(0, defect=True)
    seen(1)
    pictures.remove(gone.picture)
    effect = effect_of(repository, history, pictures)
    assert (effect.failed, effect.images) == (1, 1)


def test_the_command_tells_the_effect(repository, seen, tmp_path, capsys):
    seen(0, "confirmed", defect=True, decision="anomalous")
    place = ["--records", f"sqlite:///{tmp_path}/records.db", "--repository", str(repository)]
    command = ["records", "replay", "2", "--name", "onegauge", *place]
    assert status(*command) == 0
    told = capsys.readouterr().out.splitlines()
    assert "1 pictures inspected by versions 1 and 2: 0 become anomalous, 1 no longer are" in told
    assert "confirmed: 1, anomalous before 1, now 0" in told
    assert status(*command, "--json") == 0
    assert json.loads(capsys.readouterr().out)["changed"] == [0, 1]
