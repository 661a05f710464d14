import shutil

from onegauge.service.model.repository import served_version
from tests.cli.command import status


def test_a_version_is_published_and_rolled_back(gauge_repository, tmp_path, capsys):
    model = tmp_path / "onegauge"
    shutil.copytree(gauge_repository / "onegauge", model)
    shutil.copytree(model / "1", model / "2")
    where = ["--repository", str(tmp_path), "--name", "onegauge"]
    assert status("publish", "2", *where) == 0
    assert served_version(model).folder == model / "2"
    assert status("rollback", *where) == 0
    assert served_version(model).folder == model / "1"
    assert capsys.readouterr().out == f"published {model / '2'}\npublished {model / '1'}\n"
    assert status("publish", "3", *where) == 1
    assert "3" in capsys.readouterr().err
