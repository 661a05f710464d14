from base64 import b64encode

import pytest

from onegauge.service.http.names import file_name, text_of


def test_text_is_utf_8_or_else_latin_1():
    assert text_of("Prüfplatz 工".encode()) == "Prüfplatz 工"
    assert text_of("Prüfplatz".encode("latin-1")) == "Prüfplatz"
    assert text_of(b"\xff\x00") == "ÿ\x00"


DOT_NET = "=?utf-8?B?" + b64encode("Prüfung 工.jpg".encode()).decode() + "?="


@pytest.mark.parametrize(
    ("plain", "name"),
    [
        (b"a.jpg", "a.jpg"),
        (None, None),
        (b"", None),
        ("Prüfung.jpg".encode(), "Prüfung.jpg"),
        ("Prüfung.jpg".encode("latin-1"), "Prüfung.jpg"),
        (DOT_NET.encode(), "Prüfung 工.jpg"),
        (b"=?iso-8859-1?Q?Pr=FCfung?= =?utf-8?q?_=E5=B7=A5?=", "Prüfung 工"),
        (b"=?utf-8?B?not base64?=", "=?utf-8?B?not base64?="),
        (b"=?utf-8?B?AAAAA?=", "=?utf-8?B?AAAAA?="),
        (b"=?utf-8?B?YQ==?= b.jpg", "=?utf-8?B?YQ==?= b.jpg"),
        (b"=?hex?Q?6?=", "6"),
        (b"100%25 %22a%22%0d%0A.jpg", '100%25 "a"\ufffd\ufffd.jpg'),
        (rb"C:\fakepath\a.jpg", "a.jpg"),
        (rb"\\server\share\a.jpg", "a.jpg"),
        (rb"\server\share\a.jpg", "a.jpg"),
        (rb"left\right/a.jpg", r"left\right/a.jpg"),
        (b"press-3/left/a.jpg", "press-3/left/a.jpg"),
        (b"a\x00\x1b[31m\xc2\x9b.jpg", "a\ufffd\ufffd[31m\ufffd.jpg"),
        (b"a" * 4000, "a" * 4000),
    ],
)
def test_plain_name_is_read_as_clients_write_it(plain, name):
    assert file_name(b"form-data; name=image", plain) == name


@pytest.mark.parametrize(
    ("extended", "name"),
    [
        (b"; filename*=utf-8''Pr%C3%BCf%20%E5%B7%A5.jpg", "Prüf 工.jpg"),
        (b"; filename*=UTF-8'de'Pr%C3%BCf.jpg; a=b", "Prüf.jpg"),
        (b";FileName* = iso-8859-1''Pr%FCf.jpg", "Prüf.jpg"),
        (b"; filename*=utf-8''C%3A%5Cdir%5Ca.jpg", "a.jpg"),
        (b"; filename*=utf-8''a%0D%0A", "a\ufffd\ufffd"),
        (b"; filename*=utf-8''%41%4g%", "A%4g%"),
        (b"; filename*=no-quotes.jpg", "plain.jpg"),
        (b"; filename*0=a; filename*=b", "plain.jpg"),
        (b"; name=\"a; filename*=utf-8''b.jpg\"", "plain.jpg"),
    ],
)
def test_extended_name_is_preferred_to_the_plain_one(extended, name):
    assert file_name(b'form-data; filename="plain.jpg"' + extended, b"plain.jpg") == name
