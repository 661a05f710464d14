"""The frozen, pretrained network whose features every detector reads."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import torch
from torch import Tensor, nn

from training.errors import BackboneError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Backbone(nn.Module):
    """uint8 RGB images to multi-scale features, normalisation included.

    Normalisation lives here so that it is part of every exported graph and no caller can
    apply it twice.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, channels: Sequence[int], strides: Sequence[int]) -> None:
        super().__init__()
        self.network = network
        self.channels = tuple(channels)
        self.strides = tuple(strides)
        self.register_buffer("mean", 255 * torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> Backbone:  # noqa: ARG002  frozen: batch norm never moves
        return super().train(False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Images uint8 (B, H, W, 3) → features (B, C, H / stride, W / stride) of each stage."""
        x = image.permute(0, 3, 1, 2).float()  # (B, 3, H, W)
        return list(self.network((x - self.mean) / self.std))

    @torch.inference_mode()
    def require_size(self, size: int) -> None:
        """Raise BackboneError unless it makes feature maps of square images of `size` pixels."""
        image = torch.zeros(1, size, size, 3, dtype=torch.uint8, device=self.mean.device)
        try:
            features = self(image)
        except (AssertionError, RuntimeError, ValueError) as exc:
            raise BackboneError(
                f"the backbone cannot read images of {size} x {size} pixels: {exc}; "
                "choose a convolutional model or another --image-size"
            ) from exc
        if [f.shape[1] for f in features] != list(self.channels):
            raise BackboneError(
                f"the backbone gives features of the shapes {[tuple(f.shape) for f in features]}, "
                f"not maps with {self.channels} channels first: choose a convolutional model"
            )


def load_backbone(
    name: str, stages: Sequence[int], weights: Path | None = None, *, pretrained: bool = True
) -> Backbone:
    """Backbone `name`: `starter`, or any convolutional model that timm builds with features_only.

    `weights` is a safetensors file in timm's naming; without it timm's own pretrained weights are
    fetched. `pretrained=False` leaves the weights to a checkpoint. Raises BackboneError.
    """
    if name == "starter":
        return _load_starter(stages, weights)
    network = _create(name, stages, pretrained=pretrained and weights is None)
    if weights is not None:
        _load_weights(network, name, weights)
    info = network.feature_info
    return Backbone(network.eval(), info.channels(), info.reduction()).eval()


def _load_starter(stages: Sequence[int], weights: Path | None) -> Backbone:
    from training.starter import load_starter

    if weights is not None or tuple(stages) != (1, 2, 3):
        raise BackboneError(
            "backbone 'starter' comes with its own weights and its stages 1,2,3: "
            "leave out --backbone-weights and --stages, or name a timm model"
        )
    network = load_starter()
    return Backbone(network.eval(), network.channels, (4, 8, 16)).eval()


def _create(name: str, stages: Sequence[int], *, pretrained: bool) -> nn.Module:
    import timm

    if not timm.is_model(name):
        close = ", ".join(get_close_matches(name, timm.list_models())) or "see timm.list_models()"
        raise BackboneError(f"timm has no model {name!r}; close names: {close}")
    try:
        return timm.create_model(
            name, features_only=True, out_indices=tuple(stages), pretrained=pretrained
        )
    except (AssertionError, IndexError, AttributeError) as exc:
        raise BackboneError(
            f"{name!r} cannot give the stages {tuple(stages)} as feature maps: {exc}; "
            "choose a convolutional model and stages that it has"
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
    wanted = {k: v for k, v in network.state_dict().items() if not k.endswith("batches_tracked")}
    wrong = [k for k, v in wanted.items() if k not in state or state[k].shape != v.shape]
    if wrong:
        raise BackboneError(
            f"{weights} does not fit {name!r}: {len(wrong)} of {len(wanted)} tensors are missing "
            f"or of another shape, first {', '.join(wrong[:3])}; "
            "it must be named as timm names the model's weights"
        )
    network.load_state_dict({k: state[k] for k in wanted}, strict=False)
