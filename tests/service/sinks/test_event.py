import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from onegauge.schemas import Options, PartDecision, RegionAnswer
from onegauge.service.inspection.inquiry import Inquiry, Seen, Upload
from onegauge.service.inspection.parts import DecidedPart
from onegauge.service.inspection.taken import Taken
from onegauge.service.model.contract import Contract
from onegauge.service.sinks.event import MAX_REGIONS, Event
from tests.service.decisions import decision
from tests.service.sinks.made import event

NOW = datetime(2026, 11, 30, 6, 0, 0, 123456, tzinfo=UTC)
CONTRACT = Contract("parts", "3", 64, 64, 8, 8, 1, "onnxruntime", {})
REGION = RegionAnswer(box=(1, 2, 3, 4), area=12, peak=1.5, mean=1.2, contours=[[(0.0, 1.0)]])


def taken(regions: int = 1, filename: str | None = "a.png", **options: object) -> Taken:
    said = decision(1.5).model_copy(update={"regions": [REGION] * regions, "filename": filename})
    seen = Seen(90, 30, np.eye(8, dtype=np.float32))
    inquiry = Inquiry([], Options(**options), {}, 0.0, request_id="r-1", key="press-1")
    return Taken.of(inquiry, Upload("a.png", 10**6, seen=seen), said, CONTRACT, NOW)


def sent(of: Event) -> dict:
    return json.loads(of.to_json())


def test_a_decision_is_a_cloud_event():
    made = taken(line="press", part="4711")
    told = sent(Event.of(made, "/onegauge/hall-2"))
    data = told.pop("data")
    assert told == {
        "specversion": "1.0",
        "id": made.record.id,
        "source": "/onegauge/hall-2",
        "type": "onegauge.inspection",
        "time": "2026-11-30T06:00:00.123Z",
        "subject": "4711",
        "line": "press",
        "datacontenttype": "application/json",
    }
    assert data == {
        "inspection": made.record.id,
        "model": {"name": "parts", "version": "3"},
        "line": "press",
        "part": "4711",
        "views": None,
        "filename": "a.png",
        "decision": "anomalous",
        "unknown_product": False,
        "score": 1.5,
        "threshold": 1.0,
        "max_false_alarm_rate": None,
        "p_value": 0.5,
        "novelty": 0.0,
        "width": 90,
        "height": 30,
        "request_id": "r-1",
        "regions": [{"box": [1, 2, 3, 4], "area": 12, "peak": 1.5, "mean": 1.2}],
    }


def test_a_view_tells_that_its_part_follows():
    assert sent(Event.of(taken(part="4711", views=3), "a"))["data"]["views"] == 3


def test_a_part_of_several_views_is_a_cloud_event():
    said = PartDecision(
        part="4711", views=3, seen=2, missing=1, decision="incomplete", inspections=["a1", "b2"]
    )
    part = DecidedPart("c3", NOW, "press", said, score=0.8, unknown_product=True)
    made = Event.of_part(part, "/onegauge/hall-2")
    assert Event.from_told(json.loads(json.dumps(made.told()))).to_json() == made.to_json()
    assert sent(made) == {
        "specversion": "1.0",
        "id": "c3",
        "source": "/onegauge/hall-2",
        "type": "onegauge.part",
        "time": "2026-11-30T06:00:00.123Z",
        "subject": "4711",
        "line": "press",
        "datacontenttype": "application/json",
        "data": {
            "line": "press",
            "part": "4711",
            "views": 3,
            "seen": 2,
            "missing": 1,
            "decision": "incomplete",
            "inspections": ["a1", "b2"],
            "unknown_product": True,
            "score": 0.8,
        },
    }


def test_an_event_has_no_attribute_of_what_nobody_has_told():
    assert sent(Event.of(taken(), "/onegauge/a"))["subject"] == "a.png"
    assert {"subject", "line"}.isdisjoint(sent(Event.of(taken(filename=None), "/onegauge/a")))


def test_attributes_have_no_control_characters():
    told = sent(event(1, line="a\nb", part="4\x7f"))
    assert (told["line"], told["subject"]) == ("a\ufffdb", "4\ufffd")


def test_a_map_full_of_noise_makes_no_event_of_megabytes():
    assert len(sent(Event.of(taken(10 * MAX_REGIONS), "a"))["data"]["regions"]) == MAX_REGIONS


def test_time_is_told_in_utc():
    here = NOW.astimezone(timezone(timedelta(hours=2)))
    assert sent(event(1, time=here))["time"] == "2026-11-30T06:00:00.123Z"


def test_an_event_is_the_same_after_it_was_on_disk():
    made = Event.of(taken(line="Größe"), "/onegauge/a")
    again = Event.from_told(json.loads(json.dumps(made.told())))
    assert again.to_json() == made.to_json()
    assert again.time == NOW


@pytest.mark.parametrize("told", [{}, {"id": "1"}, {**event(1).told(), "time": "soon"}])
def test_what_is_no_event_is_told(told):
    with pytest.raises((KeyError, TypeError, ValueError)):
        Event.from_told(told)


def test_json_is_made_once():
    made = event(1)
    assert made.to_json() is made.to_json()
    assert replace(made, source="b").to_json() != made.to_json()
