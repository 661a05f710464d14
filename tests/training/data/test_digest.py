from hashlib import sha256

from onegauge.training.data.digest import data_digest, file_digest


def test_the_digest_of_a_file_is_that_of_its_content(tmp_path):
    (tmp_path / "a.png").write_bytes(b"content")
    assert file_digest(tmp_path / "a.png") == sha256(b"content").hexdigest()


def test_the_digest_of_data_tells_names_and_contents():
    same, changed = sha256(b"same").hexdigest(), sha256(b"changed").hexdigest()
    told = data_digest([("a.png", same), ("b.png", same)])
    assert data_digest([("a.png", same), ("b.png", same)]) == told
    for other in ([("a.png", same), ("b.png", changed)], [("c.png", same), ("b.png", same)]):
        assert data_digest(other) != told
