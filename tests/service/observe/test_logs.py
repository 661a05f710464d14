import json
import logging
from pathlib import Path

import pytest

from onegauge.service.imaging.image import read_image
from onegauge.service.observe.logs import JsonFormatter, TextFormatter


def record(
    message: str = "request", exc_info: object = None, **fields: object
) -> logging.LogRecord:
    made = logging.LogRecord("onegauge.access", logging.INFO, "", 0, message, (), exc_info)
    made.fields = fields
    return made


def test_json_line_has_the_fields_beside_the_message():
    line = json.loads(JsonFormatter().format(record(status=200, decisions={"normal": 1})))
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "onegauge.access",
        "message": "request",
        "status": 200,
        "decisions": {"normal": 1},
    }


def failure() -> BaseException:
    """What a part of the gateway may raise."""
    try:
        read_image(b"", None, max_pixels=1)
    except TypeError as error:
        error.add_note("request_id: press-3")
        return error
    raise AssertionError


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_exception_is_one_line_with_its_place_and_without_paths(formatter):
    error = failure()
    text = formatter.format(record(exc_info=(type(error), error, error.__traceback__)))
    assert "TypeError" in text
    assert "request_id: press-3 in image.read_image:" in text
    assert "Traceback" not in text
    assert str(Path(__file__).parents[3]) not in text
    if isinstance(formatter, JsonFormatter):
        assert "\n" not in text


def test_paths_in_the_message_of_an_exception_are_left_out():
    error = OSError("cannot open /etc/onegauge/keys")
    text = JsonFormatter().format(record(exc_info=(OSError, error, None)))
    assert json.loads(text)["exception"] == "OSError: cannot open (path)"


def test_text_line_cannot_be_forged_by_a_value():
    text = TextFormatter().format(record(line="a\nERROR forged", status=200))
    assert "\n" not in text
    assert text.endswith(r'request line="a\nERROR forged" status=200')


def test_text_line_has_letters_of_any_script_as_they_are():
    text = TextFormatter().format(record(line="工位3", path="/\x9b31m", decisions={"\x9b": 1}))
    assert text.endswith(r'line="工位3" path="/\u009b31m" decisions={"\u009b": 1}')


def test_records_without_fields_are_lines_too():
    plain = logging.LogRecord("uvicorn", logging.INFO, "", 0, "started %d", (1,), None)
    assert TextFormatter().format(plain).endswith("started 1")
    assert json.loads(JsonFormatter().format(plain))["message"] == "started 1"
