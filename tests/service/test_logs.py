import json
import logging

from service.logs import JsonFormatter, TextFormatter


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


def test_json_line_holds_an_exception_on_one_line():
    error = ValueError("bad\nnews")
    text = JsonFormatter().format(record(exc_info=(ValueError, error, None)))
    assert "\n" not in text
    assert "bad\nnews" in json.loads(text)["exception"]


def test_text_line_cannot_be_forged_by_a_value():
    text = TextFormatter().format(record(line="a\nERROR forged", status=200))
    assert "\n" not in text
    assert text.endswith(r'request line="a\nERROR forged" status=200')


def test_records_without_fields_are_lines_too():
    plain = logging.LogRecord("uvicorn", logging.INFO, "", 0, "started %d", (1,), None)
    assert TextFormatter().format(plain).endswith("started 1")
    assert json.loads(JsonFormatter().format(plain))["message"] == "started 1"
