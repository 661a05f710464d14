from datetime import UTC, datetime

import numpy as np

from onegauge.schemas import Explanation, Options, ReferenceAnswer, RegionAnswer
from onegauge.service.inspection.inquiry import Inquiry, Seen, Upload
from onegauge.service.inspection.taken import Taken
from onegauge.service.model.contract import Contract
from tests.service.decisions import decision

NOW = datetime(2026, 11, 30, 6, tzinfo=UTC)
CONTRACT = Contract("parts", "3", 64, 64, 8, 8, 1, "onnxruntime", {"model_digest": "c0ffee"})
SEEN = Seen(90, 30, np.eye(8, dtype=np.float32))


def test_a_record_has_what_was_asked_answered_and_by_what():
    region = RegionAnswer(box=(1, 2, 3, 4), area=12, peak=1.5, mean=1.2, contours=[])
    reference = ReferenceAnswer(id="aa", origin="a.png", similarity=0.5)
    said = decision(1.5).model_copy(
        update={"regions": [region], "explanation": Explanation(references=[reference])}
    )
    options = Options(line="press", part="4711", views=3)
    inquiry = Inquiry([], options, {}, 0.0, request_id="r-1", key="press-1")
    taken = Taken.of(inquiry, Upload("a.png", 10**6, seen=SEEN), said, CONTRACT, NOW)
    assert taken.views == 3
    made = taken.whole()
    assert (made.line, made.part, made.request_id, made.key) == ("press", "4711", "r-1", "press-1")
    assert (made.model, made.version, made.model_digest) == ("parts", "3", "c0ffee")
    assert (made.decision, made.score, made.time) == ("anomalous", 1.5, NOW)
    assert (made.width, made.height, made.picture) == (90, 30, None)
    assert made.regions[0]["box"] == [1, 2, 3, 4]
    assert made.references == [{"id": "aa", "origin": "a.png", "similarity": 0.5}]
