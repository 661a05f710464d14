"""The starter backbone: a small network that comes with the project, for work without a network.

It imitates the stages 1 to 3 of a ResNet18 (He et al. 2016). `distill` trains it, on procedural
images only.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("starter.safetensors")


class Block(nn.Module):
    """Two 3x3 convolutions and the way around them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, C, H, W) to features of the same shape."""
        return torch.relu(x + self.second(torch.relu(self.first(x))))


class Starter(nn.Module):
    """Normalised RGB (B, 3, H, W) to three feature maps of strides 4, 8 and 16.

    The maps stand for those of ResNet18, channel by channel; narrower stages compute them, and
    there is no normalisation layer, so the network is the same in training and in an export.
    """

    channels = (64, 128, 256)
    strides = (4, 8, 16)
    widths = (48, 96, 160)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 3, stride=2, padding=1), nn.ReLU())
        inputs = (32, *self.widths[:2])
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, width, 3, stride=2, padding=1), nn.ReLU(), Block(width))
            for before, width in zip(inputs, self.widths, strict=True)
        )
        self.heads = nn.ModuleList(
            nn.Conv2d(width, channels, 1)
            for width, channels in zip(self.widths, self.channels, strict=True)
        )
        self.apply(_initialise)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Feature maps [(B, C, H/stride, W/stride)], not negative."""
        maps = []
        x = self.stem(x)
        for stage, head in zip(self.stages, self.heads, strict=True):
            x = stage(x)
            maps.append(torch.relu(head(x)))
        return maps


def load_starter() -> Starter:
    """The starter with the weights that come with the project, in fp32 and in eval mode."""
    from safetensors.torch import load_file

    network = Starter()
    network.load_state_dict({name: t.float() for name, t in load_file(WEIGHTS).items()})
    return network.eval()


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(module.bias)
    if isinstance(module, Block):
        nn.init.zeros_(module.second.weight)  # a block starts as the identity
