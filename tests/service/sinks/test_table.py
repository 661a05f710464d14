from pathlib import Path

import pytest

from onegauge.service.sinks.errors import InvalidSinks
from onegauge.service.sinks.table import read_sinks

MES = '[mes]\nkind = "webhook"\nurl = "https://mes.example/onegauge"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sinks.toml"


def test_a_table_is_a_sink(file):
    file.write_text(MES + 'send = "anomalous"\nlines = ["line-1"]\n\n[second]\n' + MES[6:])
    first, second = read_sinks(file).items()
    assert (first[0], first[1].send, first[1].lines) == ("mes", "anomalous", ("line-1",))
    assert (second[0], second[1].send, second[1].enabled) == ("second", "all", True)


def test_a_file_may_have_no_sinks(file):
    file.write_text("# none yet\n")
    assert read_sinks(file) == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[mes\n", "is not TOML: Expected ']'"),
        ("mes = 1\n", r"sinks.toml \[mes\]: write each sink as a table"),
        (MES.replace("[mes]", '["MES 1"]'), "is named by 1 to 32"),
        ('[mes]\nurl = "http://a"\n', r"\[mes\] kind is missing: it is one of .*webhook"),
        ('[mes]\nkind = "fax"\n', r"\[mes\] kind = 'fax': it is none of .*webhook"),
        ('[mes]\nkind = "webhook"\n', r"\[mes\] url is missing"),
        ('[mes]\nkind = "webhook"\nurl = "mes"\n', r"\[mes\] url = 'mes': it is not like https"),
        (MES + 'sent = "all"\n', r"\[mes\] sent: there is no such setting"),
        (MES + 'send = "bad"\n', r"\[mes\] send = 'bad': Input should be 'all', 'anom"),
        (MES + 'rate_limit = "often"\n', r"rate_limit = 'often': 'often' is not like 20/second"),
        (MES + "spool_bytes = 10\n", r"spool_bytes = 10: Input should be greater than"),
        (MES + "lines = []\n", r"\[mes\] lines = \[\]: "),
        (MES + "lines = [1]\n", r"\[mes\] lines.0 = 1: Input should be a valid string"),
        (MES + "batch = 0\n", r"\[mes\] batch = 0: Input should be greater than"),
        (MES + 'batch = "x"\nsend = 3\n', r"send = 3: .*; .*batch = 'x': "),
    ],
)
def test_what_makes_no_sense_is_told_with_sink_key_and_value(file, text, told):
    file.write_text(text)
    with pytest.raises(InvalidSinks, match=told):
        read_sinks(file)


def test_a_password_in_an_address_is_told_to_nobody(file):
    file.write_text('[mes]\nkind = "webhook"\nurl = "mqtt://ann:secret@mes.example"\n')
    with pytest.raises(InvalidSinks) as caught:
        read_sinks(file)
    assert "mqtt://mes.example" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_told(file):
    with pytest.raises(InvalidSinks, match=r"ONEGAUGE_SINKS: .*sinks.toml cannot be read: No such"):
        read_sinks(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidSinks, match="is not TOML"):
        read_sinks(file)
