import re

from tests.cli.command import grey_image, status


def test_a_place_that_cannot_be_written_is_one_line(tmp_path, capsys):
    for number in range(10):
        grey_image(tmp_path / f"{number}.png", 25 * number)
    (tmp_path / "notes").write_text("mine")
    out = str(tmp_path / "notes" / "run")
    assert status("train", "--data", str(tmp_path), "--out", out, "--device", "cpu") == 1
    assert re.fullmatch(rf"onegauge: .*{out}.*\n", capsys.readouterr().err)


def test_a_dry_run_tells_what_is_taken_and_writes_nothing(tmp_path, capsys):
    data = tmp_path / "parts"
    for name in ("good", "NG", "odd", "test/good"):
        (data / name).mkdir(parents=True)
        grey_image(data / name / "1.png", 50)
    train = ["train", "--data", str(data), "--out", str(tmp_path / "run"), "--dry-run"]
    assert status(*train) == 1
    told = capsys.readouterr()
    assert re.search(r"undecided +1  beside good: odd \(1\)", told.out)
    assert re.fullmatch(r"onegauge: undecided .*--include '/odd'.*--exclude.*\n", told.err)
    assert status(*train, "--include", "NG", "--exclude", "odd", "--exclude", "test") == 0
    assert re.search(r"taken +2  for training: NG \(1\), good \(1\)", capsys.readouterr().out)
    evaluate = ["evaluate", "run", "--data", str(data), "--dry-run"]
    assert status(*evaluate) == 0
    assert status(*evaluate, "--include", "NG") == 0
    without, included = capsys.readouterr().out.split(f"{data}: ")[1:]
    assert "anomalous" not in without
    assert re.search(r"taken +1  anomalous: NG \(1\)", included)
    assert list(tmp_path.iterdir()) == [data]


def test_numbers_that_are_none_are_named(capsys):
    train = ["train", "--data", "parts", "--out", "run"]
    assert status(*train, "--stages", "1,two") == 1
    assert "--stages are numbers such as 1,2,3, not '1,two'" in capsys.readouterr().err
