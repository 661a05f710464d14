"""The one loop that trains by gradient, resumable at every step."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from onegauge.training.backbones.features import Features, Seen
from onegauge.training.config import FitOptions
from onegauge.training.distributed import averaged, leads, mean, share, wait
from onegauge.training.errors import CheckpointError, TrainingError
from onegauge.training.progress import Progress
from onegauge.training.resume import whole


@dataclass(frozen=True)
class Descent:
    """How a loss is descended: the optimiser, how its rates change, and what bounds a step.

    `schedule` gives, for the share of the training that is done, 0 to 1, the factor on the
    learning rates that the optimiser was made with; `clip` is the largest norm of a gradient.
    """

    optimizer: torch.optim.Optimizer
    schedule: Callable[[float], float] = lambda _done: 1.0
    clip: float | None = None


def minimise(
    module: nn.Module,
    descent: Descent,
    features: Features,
    options: FitOptions,
    progress: Progress,
) -> None:
    """Minimise `module.loss(seen, done)` over `features` for `options.epochs` epochs.

    The order of an epoch, and what a step draws at random, follow from the seed and their number,
    so that a resumed run gives what the uninterrupted one gives. The state is kept after every
    epoch and on Ctrl-C, which raises KeyboardInterrupt once the step at hand is done. A loss that
    is not finite: TrainingError. On a GPU the loss is computed in bfloat16 where that is safe.
    Of several processes each has its share of every step, and the first keeps the state.
    """
    per_epoch = max(1, len(features) // options.batch_size)
    total = options.epochs * per_epoch
    first = _load_state(options.state, module, descent.optimizer)
    rates = [group["lr"] for group in descent.optimizer.param_groups]
    losses = averaged(module.train())
    with interruptible() as interrupted, progress.step("fitting", total) as step:
        step.advance(first)
        for done in range(first, total):
            torch.manual_seed(hash((options.seed, done)))
            for group, rate in zip(descent.optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * descent.schedule(done / total)
            rows = share(_rows(len(features), options, *divmod(done, per_epoch)))
            loss = _loss_of(losses, features.batch(rows), done / total)
            _descend(module, descent, loss)
            value, stop = mean(loss.item(), interrupted.is_set())
            _require_finite(value)
            step.advance(1, f"loss {value:.4f}")
            if leads() and (stop or (done + 1) % per_epoch == 0):
                _save_state(options.state, module, descent.optimizer, done + 1)
            if stop:
                wait()  # until the state is written, from which all go on
                raise KeyboardInterrupt
    module.eval()


def _loss_of(losses: Callable[[Seen, float], Tensor], seen: Seen, done: float) -> Tensor:
    with torch.autocast(seen.image.device.type, torch.bfloat16, enabled=seen.image.is_cuda):
        return losses(seen, done)


def _descend(module: nn.Module, descent: Descent, loss: Tensor) -> None:
    descent.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if descent.clip is not None:
        nn.utils.clip_grad_norm_(module.parameters(), descent.clip)
    descent.optimizer.step()


def _require_finite(loss: float) -> None:
    if not math.isfinite(loss):
        raise TrainingError(f"the loss became {loss}: lower the learning rate or check the images")


def _rows(total: int, options: FitOptions, epoch: int, step: int) -> np.ndarray:
    """The images of one step: a slice of the epoch's own permutation."""
    order = np.random.default_rng((options.seed, epoch)).permutation(total)
    return order[step * options.batch_size : (step + 1) * options.batch_size]


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets instead of raising, so that a step can be finished.

    Outside the main thread, where signals cannot be handled, the event is never set.
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = signal.signal(signal.SIGINT, lambda *_: event.set())
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)


def _save_state(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, done: int) -> None:
    tensors = {f"module.{k}": v.contiguous() for k, v in module.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": v for k, v in moments.items()}
    with whole(path) as file:
        save_file(tensors, file, metadata={"done": str(done)})


def _load_state(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Restore what `_save_state` kept and return the number of steps done, 0 without a file."""
    if not path.exists():
        return 0
    try:
        with safe_open(path, "pt") as file:
            done = int(file.metadata()["done"])
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118  not a dict
        module.load_state_dict(
            {k.removeprefix("module."): v for k, v in tensors.items() if k.startswith("module.")}
        )
    except (SafetensorError, RuntimeError, KeyError, TypeError) as exc:
        raise CheckpointError(f"cannot resume from {path}: {exc}; remove it to start anew") from exc
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        kind, index, *moment = name.split(".")
        if kind == "optimizer":
            state.setdefault(int(index), {})[moment[0]] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return done
