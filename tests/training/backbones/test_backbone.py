import os
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from onegauge.training.backbones.backbone import STARTER_WEIGHTS, load_backbone
from onegauge.training.errors import BackboneError

ROOT = Path(__file__).parents[3]
SMALL = "test_resnet"  # a model that timm keeps for tests


def weights(folder: Path, **changes: torch.Tensor | None) -> Path:
    """A weights file of the whole small model, some tensors replaced or, by None, left out."""
    torch.manual_seed(3)
    state = timm.create_model(SMALL).state_dict() | changes
    save_file({k: v for k, v in state.items() if v is not None}, folder / "w.safetensors")
    return folder / "w.safetensors"


def test_the_starter_gives_three_stages_of_an_image():
    backbone = load_backbone("starter", (1, 2, 3))
    features = backbone(torch.zeros(2, 64, 64, 3, dtype=torch.uint8))
    assert [tuple(f.shape) for f in features] == [(2, 24, 16, 16), (2, 40, 8, 8), (2, 112, 4, 4)]
    assert backbone.strides == (4, 8, 16)
    assert not any(p.requires_grad for p in backbone.parameters())
    assert not backbone.train().network.training


def test_the_starter_comes_small_and_takes_no_other_weights(tmp_path):
    assert STARTER_WEIGHTS.stat().st_size <= 2_500_000
    other = load_backbone("tf_efficientnet_lite0", weights=STARTER_WEIGHTS).network.state_dict()
    starter = load_backbone("starter").network.state_dict()
    assert all(torch.equal(starter[name], tensor) for name, tensor in other.items())
    with pytest.raises(BackboneError, match="starter.*leave out --backbone-weights"):
        load_backbone("starter", weights=weights(tmp_path))


def test_the_starter_gives_other_stages_but_those_it_has_no_weights_of():
    image = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8)
    (fine, coarse), (_, _, _, last) = (
        load_backbone("starter", stages)(image) for stages in ((0, 2), (0, 1, 2, 3))
    )
    assert [tuple(f.shape) for f in (fine, coarse, last)] == [
        (1, 16, 32, 32),
        (1, 40, 8, 8),
        (1, 112, 4, 4),
    ]
    with pytest.raises(BackboneError, match="starter.*stages 0 to 3"):
        load_backbone("starter", (2, 4))


def test_features_of_the_starter_change_where_the_image_changes():
    image = torch.full((2, 256, 256, 3), 127, dtype=torch.uint8)
    image[1, 120:136, 120:136] = 255
    for stage in load_backbone("starter")(image):
        change = (stage[1] - stage[0]).norm(dim=0)  # (h, w)
        assert change[len(change) // 2, len(change) // 2] > 20 * change[0, 0]
        assert change[len(change) // 2, len(change) // 2] > 1


def test_an_efficientnet_is_cut_and_folded_and_gives_the_same_features(tmp_path):
    torch.manual_seed(0)
    whole = timm.create_model(
        "tf_efficientnet_lite0", features_only=True, out_indices=(0, 2)
    ).eval()
    for name, buffer in whole.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer += torch.rand_like(buffer)
    save_file(whole.state_dict(), tmp_path / "w.safetensors")
    backbone = load_backbone("tf_efficientnet_lite0", (0, 2), tmp_path / "w.safetensors")
    assert len(backbone.network.blocks) < len(whole.blocks)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())
    image = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8)
    x = (image.permute(0, 3, 1, 2) - backbone.mean) / backbone.std
    for found, expected in zip(backbone(image), whole(x), strict=True):
        assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


def test_weights_of_a_file_are_the_networks(tmp_path):
    backbone = load_backbone(SMALL, (1, 2), weights(tmp_path))
    torch.manual_seed(3)
    expected = timm.create_model(SMALL).state_dict()
    found = backbone.network.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in found)
    sizes = [f.shape[-1] for f in backbone(torch.zeros(1, 64, 64, 3, dtype=torch.uint8))]
    assert sizes == [64 // stride for stride in backbone.strides]


@pytest.mark.parametrize("change", [None, torch.zeros(1, 2, 3)])
def test_a_missing_or_misshapen_tensor_is_named(tmp_path, change):
    file = weights(tmp_path, **{"layer1.0.conv1.weight": change})
    with pytest.raises(BackboneError, match=r"w\.safetensors.*1 of .*layer1\.0\.conv1\.weight"):
        load_backbone(SMALL, (1, 2), file)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"nothing")
    for name in ("w.safetensors", "absent"):
        with pytest.raises(BackboneError, match=name):
            load_backbone(SMALL, (1, 2), tmp_path / name)


def test_an_unknown_model_and_stage_are_named():
    with pytest.raises(BackboneError, match="'resnet81'; close names: .*resnet"):
        load_backbone("resnet81", (1, 2, 3))
    with pytest.raises(BackboneError, match="'test_resnet'.*9.*stages"):
        load_backbone(SMALL, (1, 9), pretrained=False)


def test_without_a_network_the_command_names_the_model_and_the_way_out(tmp_path, product_tree):
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "TORCH_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "onegauge", "train", "--backbone", "resnet18"]
    told = subprocess.run(
        [*command, "--data", str(product_tree), "--out", str(tmp_path / "run")],
        cwd=ROOT,
        env=os.environ | offline,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1
    assert "'resnet18'" in told.stderr
    assert "--backbone-weights" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_transformer_gives_maps_of_its_middle_blocks():
    backbone = load_backbone("test_vit", image_size=96, pretrained=False)
    features = backbone(torch.zeros(2, 96, 96, 3, dtype=torch.uint8))
    assert [tuple(f.shape) for f in features] == [(2, 64, 6, 6)] * 5
    assert backbone.strides == (16,) * 5
    assert float(backbone.mean[0, 0, 0, 0]) == 127.5  # as its weights were trained, not ImageNet's


def test_recentred_patches_are_told_from_the_class_token_of_their_block():
    torch.manual_seed(0)
    plain = load_backbone("test_vit", (1, 4), image_size=64, pretrained=False)
    recentred = load_backbone("test_vit", (1, 4), image_size=64, recentred=True, pretrained=False)
    recentred.load_state_dict(plain.state_dict())
    image = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    x = (image.permute(0, 3, 1, 2).float() - plain.mean) / plain.std
    (_, first), (_, last) = plain.network.network.forward_intermediates(
        x, indices=[1, 4], return_prefix_tokens=True, intermediates_only=True
    )
    for bare, found, token in zip(plain(image), recentred(image), (first, last), strict=True):
        assert torch.allclose(found, bare - token[:, 0, :, None, None], atol=1e-5)


@pytest.mark.parametrize("name", ["starter", SMALL])
def test_a_network_without_a_class_token_cannot_be_recentred(name):
    with pytest.raises(BackboneError, match=f"{name}.*class token"):
        load_backbone(name, recentred=True, pretrained=False)


def test_positional_embeddings_of_a_file_are_resized(tmp_path):
    whole = timm.create_model("test_vit", img_size=160)
    save_file(whole.state_dict(), tmp_path / "w.safetensors")
    backbone = load_backbone("test_vit", (0, 1), tmp_path / "w.safetensors", image_size=96)
    found, given = backbone.network.network.pos_embed, whole.pos_embed
    assert torch.allclose(found[:, 0], given[:, 0])  # of the class token
    assert found.shape[1] == 1 + 6 * 6
    assert torch.allclose(found[:, 1:].mean(), given[:, 1:].mean(), atol=1e-3)


def test_a_block_that_the_transformer_has_not_is_named():
    with pytest.raises(BackboneError, match=r"\(3, 7\).*blocks 0 to 5"):
        load_backbone("test_vit", (3, 7), pretrained=False)


@pytest.mark.parametrize(("name", "size", "step"), [("starter", 48, 32), ("test_vit", 40, 16)])
def test_a_size_that_leaves_a_remainder_is_named(name, size, step):
    backbone = load_backbone(name, image_size=96, pretrained=False)
    with pytest.raises(BackboneError, match=f"multiple of {step} for '{name}', not {size}"):
        backbone.require_size(size)


def test_a_size_that_the_network_cannot_take_is_named_before_training():
    backbone = load_backbone("starter", (1, 2, 3))
    backbone.require_size(64)
    backbone.network.forward = refuse
    with pytest.raises(BackboneError, match="64 x 64 pixels.*224"):
        backbone.require_size(64)


def test_features_with_the_channels_last_are_no_feature_maps():
    backbone = load_backbone("starter", (1, 2, 3))
    maps = backbone.network.forward
    backbone.network.forward = lambda image: [f.permute(0, 2, 3, 1) for f in maps(image)]
    with pytest.raises(BackboneError, match=r"\(1, 16, 16, 24\).*convolutional"):
        backbone.require_size(64)  # as Swin transformers of timm


def refuse(_image: object) -> None:
    raise AssertionError("Input height (64) doesn't match model (224).")  # as timm does
