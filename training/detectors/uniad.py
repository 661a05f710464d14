"""UniAD: You et al., "A Unified Model for Multi-class Anomaly Detection" (NeurIPS 2022).

A transformer restores the features of normal images from jittered ones. Three things keep it from
handing through what it reads: no token attends to its own neighbourhood, every layer of the decoder
starts from queries of its own that it has learned, and the jitter has to be undone.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onegauge.training.backbones.backbone import Backbone
from onegauge.training.backbones.features import Features, Seen
from onegauge.training.detectors.detector import Detector, FitOptions, smooth
from onegauge.training.detectors.engine import Descent, minimise
from onegauge.training.detectors.layers import Dropout, drawn
from onegauge.training.progress import Progress

PAPER_BACKBONES = ("efficientnet_b4", "tf_efficientnet_b4")
PAPER_EPOCHS = 1000
CPU_EPOCHS = 4  # other backbones
LAYERS = 4  # of the encoder, and of the decoder
WIDTH = 256  # of a token
HIDDEN = 1024  # of the perceptron in a layer
HEADS = 8
DROPOUT = 0.1
GRID = 14  # places that queries and positions are learned for, along each side
NEIGHBOURHOOD = 7  # tokens along each side that one does not attend to
MASKED = -1e4  # added to their attention: finite in fp16, and exp of it is 0 in fp32
JITTER = 20.0  # its standard deviation, in norms of the token a channel
LEARNING_RATE = 1e-4
WEIGHT_DECAY = 1e-4
CLIP = 0.1
DROP = 0.8  # of the training is done when the learning rate falls
DROPPED = 0.1  # what is left of it then


class Place(NamedTuple):
    """What attention knows of the grid."""

    position: Tensor  # (1, T, WIDTH), added to queries and keys
    mask: Tensor  # (T, T), added to attention


class UniAD(Detector):
    """A masked transformer over the stages, resized to the grid of the coarsest and concatenated.

    Differences from the paper: queries and positions are learned for its grid of 14 × 14 and
    resized to the grid at hand, so that an image may have any size; a token whose every other one
    is a neighbour attends to all of them; the map has the resolution of the finest stage instead of
    the image's, and is smoothed.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone)
        self.paper = backbone.architecture in PAPER_BACKBONES
        channels = sum(backbone.channels)
        self.read = nn.Linear(channels, WIDTH)
        self.columns = nn.Parameter(torch.rand(1, WIDTH // 2, 1, GRID))
        self.rows = nn.Parameter(torch.rand(1, WIDTH // 2, GRID, 1))
        self.encoder = nn.ModuleList(EncoderLayer() for _ in range(LAYERS))
        self.decoder = nn.ModuleList(DecoderLayer() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        self.restore = nn.Linear(WIDTH, channels)
        self.apply(_initialise)

    def forward(self, seen: Seen) -> Tensor:
        """Raw anomaly map (B, h, w): the distance from true to restored features."""
        tokens, grid = _tokens(seen)
        distance = (self._restored(tokens, grid) - tokens).square().sum(2).sqrt()  # (B, T)
        size = seen.stages[0].shape[-2:]
        maps = distance.unflatten(1, grid).unsqueeze(1)  # (B, 1, h', w')
        maps = F.interpolate(maps, size, mode="bilinear", align_corners=False)
        return smooth(maps, self.stride).squeeze(1)

    def fit(self, features: Features, options: FitOptions, progress: Progress) -> None:
        """Minimise `loss` by AdamW; an interrupted fit goes on where it stopped."""
        optimizer = torch.optim.AdamW(self.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        descent = Descent(optimizer, lambda done: 1.0 if done < DROP else DROPPED, CLIP)
        minimise(self, descent, features, options, progress)

    def advised_epochs(self, images: int, batch_size: int) -> int:  # noqa: ARG002
        """The paper's 1,000, or what a CPU can bear."""
        return PAPER_EPOCHS if self.paper else CPU_EPOCHS

    def loss(self, seen: Seen, done: float) -> Tensor:  # noqa: ARG002  the same all along
        """Mean squared difference of the true features and those restored from jittered ones."""
        tokens, grid = _tokens(seen)
        spread = JITTER * tokens.norm(dim=2, keepdim=True) / tokens.shape[2]  # (B, T, 1)
        jittered = tokens + spread * drawn(torch.randn_like, tokens)
        return F.mse_loss(self._restored(jittered, grid), tokens)

    def _restored(self, tokens: Tensor, grid: torch.Size) -> Tensor:
        """(B, T, C) → (B, T, C), in fp32."""
        place = Place(self._position(grid), neighbour_mask(grid, tokens.device))
        memory = self.read(tokens)
        for layer in self.encoder:
            memory = layer(memory, place)
        x = memory
        for layer in self.decoder:
            x = layer(x, memory, grid, place)
        return self.restore(self.norm(x)).float()

    def _position(self, grid: torch.Size) -> Tensor:
        """Embedding of each token's column and row (1, T, WIDTH)."""
        columns, rows = self.columns.expand(-1, -1, GRID, -1), self.rows.expand(-1, -1, -1, GRID)
        return _resized(torch.cat([columns, rows], dim=1), grid)


def _tokens(seen: Seen) -> tuple[Tensor, torch.Size]:
    """The stages' channels together, place by place (B, T, C), and the grid of the places."""
    grid = seen.stages[-1].shape[-2:]
    same = [
        F.interpolate(s, grid, mode="bilinear", align_corners=False) if s.shape[-2:] != grid else s
        for s in seen.stages
    ]
    return torch.cat(same, dim=1).flatten(2).transpose(1, 2), grid


def _resized(learned: Tensor, grid: torch.Size) -> Tensor:
    """What was learned for the places (1, C, GRID, GRID), as tokens of a grid (1, T, C)."""
    resized = F.interpolate(learned, grid, mode="bilinear", align_corners=False)
    return resized.flatten(2).transpose(1, 2)


def neighbour_mask(grid: torch.Size, device: torch.device) -> Tensor:
    """(T, T) fp32: MASKED where a token lies in the neighbourhood of another, itself included."""
    rows, columns = (torch.arange(n, device=device) for n in grid)
    y, x = rows.repeat_interleave(grid[1]), columns.repeat(grid[0])  # (T,)
    apart = torch.maximum((y[:, None] - y).abs(), (x[:, None] - x).abs())
    return MASKED * (apart <= NEIGHBOURHOOD // 2).float()


class EncoderLayer(nn.Module):
    """Neighbour-masked attention of the tokens to each other."""

    def __init__(self) -> None:
        super().__init__()
        self.attend = Attend()
        self.transform = Transform()

    def forward(self, x: Tensor, place: Place) -> Tensor:
        """(B, T, WIDTH) → (B, T, WIDTH)."""
        return self.transform(self.attend(x, x, place))


class DecoderLayer(nn.Module):
    """Learned queries that attend to what was encoded, then to the layer before."""

    def __init__(self) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(1, WIDTH, GRID, GRID))
        self.attend_memory = Attend()
        self.attend_before = Attend()
        self.transform = Transform()

    def forward(self, before: Tensor, memory: Tensor, grid: torch.Size, place: Place) -> Tensor:
        """(B, T, WIDTH) twice → (B, T, WIDTH)."""
        queries = _resized(self.queries, grid).expand(memory.shape[0], -1, -1)  # (B, T, WIDTH)
        x = self.attend_memory(queries, memory, place)
        return self.transform(self.attend_before(x, before, place))


class Attend(nn.Module):
    """Neighbour-masked attention, added and normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.dropout = Dropout(DROPOUT)
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor, source: Tensor, place: Place) -> Tensor:
        """(B, T, WIDTH) twice → (B, T, WIDTH)."""
        queries, keys = self.query(x + place.position), self.key(source + place.position)
        q, k, v = (
            t.unflatten(2, (HEADS, -1)).transpose(1, 2)  # (B, HEADS, T, WIDTH / HEADS)
            for t in (queries, keys, self.value(source))
        )
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=place.mask)
        return self.norm(x + self.dropout(self.out(attended.transpose(1, 2).flatten(2))))


class Transform(nn.Module):
    """A perceptron of two layers, added and normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(WIDTH, HIDDEN),
            nn.ReLU(),
            Dropout(DROPOUT),
            nn.Linear(HIDDEN, WIDTH),
            Dropout(DROPOUT),
        )
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, WIDTH) → (B, T, WIDTH)."""
        return self.norm(x + self.layers(x))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
