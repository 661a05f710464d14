import json
from datetime import UTC, datetime
from io import BytesIO

import numpy as np
from PIL import Image

from onegauge.schemas import Explanation, Options, ReferenceAnswer, RegionAnswer
from onegauge.service.inspection.inquiry import Inquiry, Seen, Upload
from onegauge.service.model.contract import Contract
from onegauge.service.recording.entry import Entry, Taken
from rig.pictures import encode
from tests.records.made import record
from tests.service.decisions import decision

NOW = datetime(2026, 11, 30, 6, tzinfo=UTC)
CONTRACT = Contract("parts", "3", 64, 64, 8, 8, 1, "onnxruntime", {"model_digest": "c0ffee"})


def uploaded(data: bytes, seen: Seen) -> Upload:
    upload = Upload("a.png", 10**6, seen=seen)
    upload.write(data)
    return upload


def seen() -> Seen:
    return Seen(90, 30, np.eye(8, dtype=np.float32))


def test_an_entry_goes_through_json_as_it_is():
    for entry in (Entry(record(1)), Entry(record(2), b"picture", b"\0\xff")):
        assert Entry.from_json(json.loads(json.dumps(entry.to_json()))) == entry


def test_a_record_has_what_was_asked_answered_and_by_what():
    region = RegionAnswer(box=(1, 2, 3, 4), area=12, peak=1.5, mean=1.2, contours=[])
    reference = ReferenceAnswer(id="aa", origin="a.png", similarity=0.5)
    said = decision(1.5).model_copy(
        update={"regions": [region], "explanation": Explanation(references=[reference])}
    )
    options = Options(line="press", part="4711")
    inquiry = Inquiry([], options, {}, 0.0, request_id="r-1", key="press-1")
    taken = Taken.of(inquiry, uploaded(b"", seen()), said, CONTRACT, NOW)
    made = taken.entry().record
    assert (made.line, made.part, made.request_id, made.key) == ("press", "4711", "r-1", "press-1")
    assert (made.model, made.version, made.model_digest) == ("parts", "3", "c0ffee")
    assert (made.decision, made.score, made.time) == ("anomalous", 1.5, NOW)
    assert (made.width, made.height, made.picture) == (90, 30, None)
    assert made.regions[0]["box"] == [1, 2, 3, 4]
    assert made.references == [{"id": "aa", "origin": "a.png", "similarity": 0.5}]
    assert taken.size == 0


def test_what_is_to_be_kept_comes_with_its_map():
    data = encode(Image.new("RGB", (90, 30)), "JPEG")
    upload = uploaded(data, seen())
    taken = Taken(record(1), [], []).kept(upload)
    upload.seen.anomaly_map[:] = 0  # a shadow version sees it differently, perhaps
    entry = taken.entry()
    assert taken.size == len(data) + 8 * 8 * 4
    assert (entry.picture, entry.record.media_type) == (data, "image/jpeg")
    small = Image.open(BytesIO(entry.small_map))
    assert (small.size, small.getextrema()) == ((8, 8), (0, 128))
