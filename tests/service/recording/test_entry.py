import json
from datetime import UTC, datetime
from io import BytesIO

import numpy as np
from PIL import Image

from onegauge.records.record import Part
from onegauge.schemas import PartDecision
from onegauge.service.inspection.inquiry import Seen, Upload
from onegauge.service.inspection.parts import DecidedPart
from onegauge.service.inspection.taken import Taken
from onegauge.service.model.contract import Contract
from onegauge.service.recording.entry import Entry, Pending, PendingPart
from rig.pictures import encode
from tests.records.made import decided, record

NOW = datetime(2026, 11, 30, 6, tzinfo=UTC)
CONTRACT = Contract("parts", "3", 64, 64, 8, 8, 1, "onnxruntime", {"model_digest": "c0ffee"})


def uploaded(data: bytes, seen: Seen) -> Upload:
    upload = Upload("a.png", 10**6, seen=seen)
    upload.write(data)
    return upload


def seen() -> Seen:
    return Seen(90, 30, np.eye(8, dtype=np.float32))


def test_an_entry_goes_through_json_as_it_is():
    bare, kept = Entry(record(1)), Entry(record(2), b"picture", b"\0\xff", b"mask")
    for entry in (bare, kept, Entry(decided([record(3), record(4)]))):
        assert Entry.from_json(json.loads(json.dumps(entry.to_json()))) == entry


def test_an_entry_that_was_put_by_without_a_word_of_masks_is_read():
    entry = Entry(record(1), b"picture")
    told = entry.to_json()
    del told["mask"]
    assert Entry.from_json(told) == entry


def test_a_part_is_written_as_it_was_told():
    said = PartDecision(
        part="4711", views=3, seen=2, missing=1, decision="incomplete", inspections=["a1", "b2"]
    )
    told = DecidedPart("c3", NOW, "press", said, score=0.8, unknown_product=True)
    assert PendingPart(told).entry().record == Part(
        id="c3",
        time=NOW,
        line="press",
        part="4711",
        views=3,
        decision="incomplete",
        score=0.8,
        unknown_product=True,
        inspections=["a1", "b2"],
    )


def test_what_is_to_be_kept_comes_with_its_map():
    data = encode(Image.new("RGB", (90, 30)), "JPEG")
    upload = uploaded(data, seen())
    pending = Pending.kept(Taken(record(1), [], []), upload)
    upload.seen.anomaly_map[:] = 0  # a shadow version sees it differently, perhaps
    entry = pending.entry()
    assert pending.size == len(data) + 8 * 8 * 4
    assert (entry.picture, entry.record.media_type) == (data, "image/jpeg")
    small = Image.open(BytesIO(entry.small_map))
    assert (small.size, small.getextrema()) == ((8, 8), (0, 128))
