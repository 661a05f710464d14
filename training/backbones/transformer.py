"""Vision transformers of timm as backbones: the patch tokens after chosen blocks, as maps."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from onegauge.training.errors import BackboneError


class PatchFeatures(nn.Module):
    """Maps (B, C, h, w) of the patch tokens after some blocks of a vision transformer.

    All of one stride, the patch's; class and register tokens are left out. `recentred` takes the
    class token of the same block off every patch (Dinomaly2, Guo et al. 2025, arXiv 2510.17611:
    context-aware recentring), so that what a patch is counts relative to what the image is.
    """

    def __init__(
        self, network: nn.Module, blocks: Sequence[int] | None, *, recentred: bool
    ) -> None:
        """Cut `network`, a transformer that timm built, behind the last block that is asked for.

        Raises BackboneError where it has no such block, or no class token to recentre on.
        """
        super().__init__()
        depth = len(network.blocks)
        self.blocks = tuple(middle_blocks(depth) if blocks is None else blocks)
        if not 0 <= self.blocks[0] <= self.blocks[-1] < depth:
            raise BackboneError(
                f"stages {self.blocks}: the transformer has the blocks 0 to {depth - 1}"
            )
        if recentred and getattr(network, "cls_token", None) is None:
            raise BackboneError("the transformer has no class token to recentre on")
        self.recentred = recentred
        self.pretrained_cfg = network.pretrained_cfg
        network.prune_intermediate_layers(list(self.blocks), prune_norm=True, prune_head=True)
        self.network = network
        patch = network.patch_embed.patch_size[0]
        self.channels = (network.embed_dim,) * len(self.blocks)
        self.strides = (patch,) * len(self.blocks)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Normalised images (B, 3, H, W) → maps (B, C, H / patch, W / patch) of each block."""
        seen = self.network.forward_intermediates(
            image,
            indices=list(self.blocks),
            return_prefix_tokens=self.recentred,
            intermediates_only=True,
        )
        if not self.recentred:
            return seen
        return [patches - prefix[:, 0, :, None, None] for patches, prefix in seen]  # class first

    def with_resized_positions(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """`state` of weights with its positional embeddings resized for this network's patches."""
        from timm.layers import resample_abs_pos_embed

        wanted, given = getattr(self.network, "pos_embed", None), state.get("pos_embed")
        if wanted is None or given is None or given.shape[1] == wanted.shape[1]:
            return state
        bare = getattr(self.network, "no_embed_class", False)  # embeddings of patches alone
        resized = resample_abs_pos_embed(
            given,
            list(self.network.patch_embed.grid_size),
            num_prefix_tokens=0 if bare else self.network.num_prefix_tokens,
        )
        return state | {"pos_embed": resized}


def middle_blocks(depth: int) -> range:
    """The eight blocks in the middle two thirds: 2…9 of 12, every other one of 4…18 of 24.

    What Dinomaly (Guo et al., CVPR 2025) reads: neither raw pixels nor the pretext task's own.
    """
    first, step = depth // 6, max(1, depth // 12)
    return range(first, min(first + 8 * step, depth), step)


def is_transformer(network: nn.Module) -> bool:
    """Whether it is a transformer of plain blocks over patches, all of one resolution."""
    parts = ("blocks", "patch_embed", "num_prefix_tokens", "prune_intermediate_layers")
    return all(hasattr(network, part) for part in parts)
