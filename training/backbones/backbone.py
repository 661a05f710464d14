"""The frozen, pretrained network whose features every detector reads."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from onegauge.training.backbones.transformer import PatchFeatures, is_transformer
from onegauge.training.errors import BackboneError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
SIZE_STEP = 32  # pixels: halving the image five times leaves no remainder
CONVOLUTIONAL_STAGES = (1, 2, 3)  # strides 4, 8, 16 of a ResNet or an EfficientNet
STARTER = "starter"
STARTER_MODEL = "tf_efficientnet_lite0"  # what timm calls it
STARTER_WEIGHTS = Path(__file__).with_name("starter.safetensors")  # of the stages 0 to 3


class Backbone(nn.Module):
    """uint8 RGB images to the features of several stages, normalisation included.

    Normalisation lives here so that it is part of every exported graph and no caller can
    apply it twice. A stage is one resolution of a convolutional network, or one block of a vision
    transformer, whose stages have the stride of its patches all.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, name: str, network: nn.Module, channels: Sequence[int], strides: Sequence[int]
    ) -> None:
        super().__init__()
        self.name = name
        self.network = network
        self.channels = tuple(channels)
        self.strides = tuple(strides)
        known = getattr(network, "pretrained_cfg", {})  # what timm's weights were trained with
        mean, std = known.get("mean", IMAGENET_MEAN), known.get("std", IMAGENET_STD)
        self.register_buffer("mean", 255 * torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(std).view(1, 3, 1, 1))
        self.requires_grad_(False)

    @property
    def architecture(self) -> str:
        """The name less timm's tag, which tells of the weights alone."""
        return self.name.partition(".")[0]

    def train(self, mode: bool = True) -> Backbone:  # noqa: ARG002  frozen: batch norm never moves
        return super().train(False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Images uint8 (B, H, W, 3) → features (B, C, H / stride, W / stride) of each stage."""
        x = image.permute(0, 3, 1, 2).float()  # (B, 3, H, W)
        return list(self.network((x - self.mean) / self.std))

    @torch.inference_mode()
    def require_size(self, size: int) -> None:
        """Raise BackboneError unless it makes feature maps of square images of `size` pixels."""
        step = self.strides[0] if len(set(self.strides)) < len(self.strides) else SIZE_STEP
        if size % step:
            raise BackboneError(
                f"image_size must be a multiple of {step} for {self.name!r}, not {size}"
            )
        image = torch.zeros(1, size, size, 3, dtype=torch.uint8, device=self.mean.device)
        try:
            features = self(image)
        except (AssertionError, RuntimeError, ValueError) as exc:
            raise BackboneError(
                f"{self.name!r} cannot read images of {size} x {size} pixels: {exc}; "
                "choose another --image-size or another model"
            ) from exc
        if [f.shape[1] for f in features] != list(self.channels):
            raise BackboneError(
                f"the backbone gives features of the shapes {[tuple(f.shape) for f in features]}, "
                f"not maps with {self.channels} channels first: choose a convolutional model or a "
                "vision transformer with plain blocks"
            )


def load_backbone(
    name: str,
    stages: Sequence[int] | None = None,
    weights: Path | None = None,
    *,
    image_size: int = 384,
    recentred: bool = False,
    pretrained: bool = True,
) -> Backbone:
    """Backbone `name`: `starter`, or a convolutional model or plain vision transformer of timm.

    The starter is an EfficientNet-Lite0 (Tan and Le 2019, without what small devices compute badly)
    whose ImageNet weights come with the project.

    `stages` are those of a convolutional model from 1, or a transformer's blocks from 0; None
    takes the usual ones. `weights` is a safetensors file in timm's naming; without it timm's own
    pretrained weights are fetched. `image_size` in pixels is what a transformer's positional
    embeddings are resized for, and `recentred` takes its class token off every patch.
    `pretrained=False` leaves the weights to a checkpoint. Raises BackboneError.
    """
    model, weights = _model_of(name, stages, weights)
    fetched = pretrained and weights is None
    if is_transformer(_create(model)):
        whole = _create(model, pretrained=fetched, num_classes=0, img_size=image_size)
        network: nn.Module = PatchFeatures(whole, stages, recentred=recentred)
        channels, strides = network.channels, network.strides
    else:
        if recentred:
            raise BackboneError(
                f"{name!r} has no class token to recentre on: choose a vision transformer"
            )
        stages = tuple(stages or CONVOLUTIONAL_STAGES)
        network = _create(model, pretrained=fetched, features_only=True, out_indices=stages)
        leave_out_unread(network)
        channels, strides = network.feature_info.channels(), network.feature_info.reduction()
    if weights is not None:
        _load_weights(network, name, weights)
    _fold_norms(network.eval())
    return Backbone(name, network, channels, strides).eval()


def _model_of(
    name: str, stages: Sequence[int] | None, weights: Path | None
) -> tuple[str, Path | None]:
    """What timm calls the backbone, and the file of its weights where timm is not to fetch them."""
    if name != STARTER:
        return name, weights
    if weights is not None or max(stages or CONVOLUTIONAL_STAGES) > CONVOLUTIONAL_STAGES[-1]:
        raise BackboneError(
            f"backbone {STARTER!r} comes with its own weights of the stages 0 to 3: leave out "
            f"--backbone-weights and other --stages, or name {STARTER_MODEL!r}"
        )
    return STARTER_MODEL, STARTER_WEIGHTS


def leave_out_unread(network: nn.Module) -> None:
    """Cut an EfficientNet behind its last stage, where timm would go on."""
    from timm.models.efficientnet import EfficientNetFeatures

    if isinstance(network, EfficientNetFeatures):
        del network.blocks[network.feature_info.get_dicts()[-1]["stage"] :]


def _fold_norms(network: nn.Module) -> None:
    """Fold an EfficientNet's batch norms, which are frozen, into the convolutions before them."""
    from timm.layers import BatchNormAct2d
    from timm.models.efficientnet import EfficientNetFeatures

    if not isinstance(network, EfficientNetFeatures):
        return
    for block in [*network.modules()]:
        for (before, layer), (name, norm) in pairwise([*block.named_children()]):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, BatchNormAct2d):
                setattr(block, before, fuse_conv_bn_eval(layer, norm))
                setattr(block, name, norm.act)


def _create(name: str, *, pretrained: bool | None = None, **options: object) -> nn.Module:
    """timm's model with timm's options; its refusals as ours.

    Without a word on `pretrained` it is a skeleton that has neither weights nor memory.
    """
    import timm

    if not timm.is_model(name):
        close = ", ".join(get_close_matches(name, timm.list_models())) or "see timm.list_models()"
        raise BackboneError(f"timm has no model {name!r}; close names: {close}")
    try:
        with torch.device("meta") if pretrained is None else nullcontext():
            return timm.create_model(name, pretrained=bool(pretrained), **options)
    except (AssertionError, IndexError, AttributeError, TypeError) as exc:
        raise BackboneError(
            f"{name!r} cannot be built with {options}: {exc}; choose a convolutional model or a "
            "plain vision transformer, and stages that it has"
        ) from exc
    except (OSError, RuntimeError) as exc:
        raise BackboneError(
            f"the pretrained weights of {name!r} could not be fetched ({type(exc).__name__}); "
            "without a network give --backbone-weights FILE.safetensors, "
            "or use --backbone starter, whose weights are included"
        ) from exc


def _load_weights(network: nn.Module, name: str, weights: Path) -> None:
    """Load what the network needs; extra tensors (later layers, the classifier) are allowed."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(weights)
    except (OSError, SafetensorError) as exc:
        raise BackboneError(f"cannot read the backbone weights {weights}: {exc}") from exc
    target = network
    if isinstance(network, PatchFeatures):
        target, state = network.network, network.with_resized_positions(state)
    wanted = {k: v for k, v in target.state_dict().items() if not k.endswith("batches_tracked")}
    wrong = [k for k, v in wanted.items() if k not in state or state[k].shape != v.shape]
    if wrong:
        raise BackboneError(
            f"{weights} does not fit {name!r}: {len(wrong)} of {len(wanted)} tensors are missing "
            f"or of another shape, first {', '.join(wrong[:3])}; "
            "it must be named as timm names the model's weights"
        )
    target.load_state_dict({k: state[k] for k in wanted}, strict=False)
