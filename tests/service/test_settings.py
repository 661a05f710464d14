import os
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from onegauge.service.settings import Settings, default_repository

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"
FIELDS = Settings.model_fields


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("ONEGAUGE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ONEGAUGE_API_KEYS", "off")


def test_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("ONEGAUGE_BACKEND", "triton")
    monkeypatch.setenv("ONEGAUGE_PORT", "9000")
    settings = Settings()
    assert (settings.backend, settings.port) == ("triton", 9000)
    assert Settings(port=9001).port == 9001, "what is given counts more"
    with pytest.raises(ValidationError, match="prot"):
        Settings.model_validate({"prot": 9001})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("backend", "tensorflow"),
        ("max_pixels", "1000000000"),
        ("max_images", "0"),
        ("threshold", "nan"),
        ("max_false_alarm_rate", "1.5"),
        ("request_timeout_s", "0"),
        ("max_buffered_bytes", "1000"),
        ("shadow_version", "newest"),
        ("triton_url", "10.0.0.7:8001,triton:8001"),
        ("triton_url", "10.0.0.7:8001,10.0.0.8"),
        ("rate_limit", "often"),
        ("source", "hall 2"),
        ("source", ""),
        ("source", 65 * "h"),
    ],
)
def test_refuse_what_makes_no_sense(monkeypatch, name, value):
    monkeypatch.setenv(f"ONEGAUGE_{name.upper()}", value)
    with pytest.raises(ValidationError, match=f"(?i){name}"):
        Settings()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"records": "records.db"}, "is not like sqlite:///records.db"),
        ({"records": "mysql://localhost/records"}, "is not like sqlite:///records.db"),
        ({"records": "/nowhere/url"}, "/nowhere/url cannot be read"),
        (
            {"records": "postgresql+psycopg://host/records"},
            "need ONEGAUGE_RECORDS_SPOOL and ONEGAUGE_PICTURES",
        ),
        ({"records": "postgresql://host/records", "keep": "none"}, "need ONEGAUGE_RECORDS_SPOOL:"),
    ],
)
def test_records_are_asked_for_in_full(given, named):
    with pytest.raises(ValidationError, match=named):
        Settings(**given)


def test_what_belongs_to_records_lies_beside_the_file_of_sqlite():
    beside = Settings(records="sqlite:///runs/records/records.db?timeout=5")
    assert beside.place_of_pictures == "runs/records/pictures"
    assert beside.place_of_spool == Path("runs/records/spool")
    told = Settings(
        records="postgresql://host/records", pictures="s3://parts/a", records_spool="/var/spool"
    )
    assert (told.place_of_pictures, told.place_of_spool) == ("s3://parts/a", Path("/var/spool"))


def test_the_address_of_the_records_may_be_in_a_file(tmp_path):
    (tmp_path / "url").write_text("postgresql+psycopg://u:secret@host/records\n")
    settings = Settings(records=str(tmp_path / "url"), records_spool="spool", keep="none")
    assert settings.records == "postgresql+psycopg://u:secret@host/records"


def test_open_gateway_has_to_be_asked_for(monkeypatch):
    monkeypatch.delenv("ONEGAUGE_API_KEYS")
    with pytest.raises(ValidationError, match="to a file that onegauge key writes, or to off"):
        Settings()


def test_cores_are_those_that_the_process_may_use(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {3, 5})
    assert Settings().decode_threads == 2
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: 7)
    assert Settings().decode_threads == 7


@pytest.mark.parametrize(
    ("backend", "url"),
    [
        ("onnx", "localhost:8001"),
        ("triton", "dns:///triton:8001"),
        ("triton", "10.0.0.7:8001,10.0.0.8:8001"),
    ],
)
def test_memory_is_shared_with_one_server_on_this_host(backend, url):
    with pytest.raises(ValidationError, match="ONEGAUGE_TRITON_SHARED_MEMORY needs"):
        Settings(backend=backend, triton_url=url, triton_shared_memory=True)


def test_threshold_and_rate_exclude_each_other():
    assert Settings(max_false_alarm_rate=0.1).threshold == 1.0
    with pytest.raises(ValidationError, match="not both"):
        Settings(max_false_alarm_rate=0.1, threshold=1.2)


def test_repository_of_the_current_directory_comes_first(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert default_repository() == Path(__file__).parents[2] / "model_repository"
    (tmp_path / "model_repository").mkdir()
    assert default_repository().resolve() == tmp_path / "model_repository"


def test_every_setting_is_documented_with_its_default():
    rows = dict(re.findall(r"^\| `(ONEGAUGE_\w+)` \| (.+?) \|", DOCS.read_text(), re.MULTILINE))
    words = {None: "unset", (): "empty", "": "empty"}
    expected = {name: words.get(f.default, f"`{f.default}`") for name, f in FIELDS.items()}
    expected |= {
        "api_keys": "required",
        "repository": "`model_repository`",
        "decode_threads": "number of CPUs",
        "inference_workers": "number of CPUs; 2 on a GPU",
    }
    assert rows == {f"ONEGAUGE_{name.upper()}": text for name, text in expected.items()}
