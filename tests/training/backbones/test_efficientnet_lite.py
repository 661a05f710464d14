import sys
from pathlib import Path

import pytest
import timm
import torch

from onegauge.training.backbones.backbone import load_backbone
from onegauge.training.backbones.efficientnet_lite import convert, main

LITE0, LITE2 = "tf_efficientnet_lite0", "tf_efficientnet_lite2"


@pytest.fixture(scope="module")
def whole() -> dict[str, torch.Tensor]:
    """The tensors of a whole model that has learnt nothing, named by timm."""
    torch.manual_seed(5)
    return timm.create_model(LITE0).state_dict()


@pytest.fixture(scope="module")
def package(whole, tmp_path_factory) -> Path:
    """The same in another naming, as a package has it."""
    file = tmp_path_factory.mktemp("package") / "lite0.pth"
    torch.save({f"_{number}": tensor for number, tensor in enumerate(whole.values())}, file)
    return file


def test_a_backbone_of_the_file_gives_the_features_of_the_package(
    package, whole, tmp_path, monkeypatch
):
    monkeypatch.setattr(sys, "argv", ["", "--weights", str(package), "--out", str(tmp_path / "w")])
    main()
    found = load_backbone(LITE0, weights=tmp_path / "w")
    expected = timm.create_model(LITE0, features_only=True, out_indices=(1, 2, 3)).eval()
    expected.load_state_dict({name: whole[name] for name in expected.state_dict()})
    image = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8)
    pairs = zip(found(image), expected(image.permute(0, 3, 1, 2) / 127.5 - 1), strict=True)
    for stage, same in pairs:
        assert (stage - same).norm() < 2e-3 * same.norm()


def test_what_no_stage_reads_is_left_out_and_large_tensors_are_halved(package, whole):
    tensors = convert(package, LITE0)
    assert {name.split(".")[1] for name in tensors if name.startswith("blocks")} == {*"01234"}
    assert whole.keys() > tensors.keys()
    assert tensors["conv_stem.weight"].dtype == torch.float32
    assert tensors["blocks.4.0.conv_pwl.weight"].dtype == torch.float16


def test_weights_of_another_model_or_none_are_named(package, tmp_path, monkeypatch, capsys):
    (tmp_path / "text.pth").write_text("nothing")
    for file, model, told in (
        (package, LITE2, f"is not of '{LITE2}'"),
        (tmp_path / "text.pth", LITE0, "text.pth"),
        (tmp_path / "absent.pth", LITE0, "absent.pth"),
    ):
        options = ["", "--weights", str(file), "--model", model, "--out", str(tmp_path / "w")]
        monkeypatch.setattr(sys, "argv", options)
        with pytest.raises(SystemExit):
            main()
        assert told in capsys.readouterr().err
    assert not (tmp_path / "w").exists()
