import signal
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from onegauge.training.backbones.features import Features, Seen
from onegauge.training.config import FitOptions
from onegauge.training.detectors.engine import Descent, interruptible, minimise
from onegauge.training.errors import CheckpointError, TrainingError
from onegauge.training.progress import Progress

IMAGES, BATCH, EPOCHS = 12, 4, 3  # three steps an epoch


class Mirror(nn.Module):
    """Learns to give back its features; `at` is called with the number of each step."""

    def __init__(self, seed: int, at: Callable[[int], object] = lambda _step: None) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.layers = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.at = at
        self.steps = 0
        self.done: list[float] = []

    def loss(self, seen: Seen, done: float) -> Tensor:
        self.steps += 1
        self.at(self.steps)
        self.done.append(done)
        noisy = F.dropout(seen.stages[0], 0.1, self.training)
        return (self.layers(noisy) - seen.stages[0]).square().mean()


class Stop(Exception):
    """The machine goes down."""


def ctrl_c_at(wanted: int) -> Callable[[int], None]:
    return lambda step: signal.raise_signal(signal.SIGINT) if step == wanted else None


def crash_at(wanted: int) -> Callable[[int], None]:
    def crash(step: int) -> None:
        if step == wanted:
            raise Stop

    return crash


def features() -> Features:
    values = np.random.default_rng(0).standard_normal((IMAGES, 4, 6, 6)).astype(np.float16)
    return Features(np.zeros((IMAGES, 1, 1, 3), np.uint8), [values], torch.device("cpu"))


def options(state: Path, seed: int = 0) -> FitOptions:
    return FitOptions(epochs=EPOCHS, batch_size=BATCH, bank_size=0, seed=seed, state=state)


def fit(module: Mirror, state: Path, *, seed: int = 0) -> dict[str, Tensor]:
    """The module's state after all epochs, or as many as there are left in `state`."""
    optimizer = torch.optim.Adam(module.parameters(), 0.01)
    minimise(module, Descent(optimizer), features(), options(state, seed), Progress())
    return module.state_dict()


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def test_the_loss_goes_down_and_the_module_is_left_for_inference(tmp_path):
    module, batch = Mirror(1), features().batch(range(IMAGES))
    with torch.inference_mode():
        before = module.loss(batch, 0.0)
    fit(module, tmp_path / "fit.safetensors")
    assert not module.training
    with torch.inference_mode():
        assert module.train().loss(batch, 0.0) < before


@pytest.mark.parametrize("step", [1, 3, 5, 8])
def test_a_fit_resumed_after_ctrl_c_gives_the_uninterrupted_result(tmp_path, step):
    expected = fit(Mirror(1), tmp_path / "whole.safetensors")
    state = tmp_path / "fit.safetensors"
    with pytest.raises(KeyboardInterrupt):
        fit(Mirror(1, ctrl_c_at(step)), state)
    resumed = Mirror(2)  # starts from other weights, which the state replaces
    assert_same(fit(resumed, state), expected)
    assert resumed.steps == EPOCHS * IMAGES // BATCH - step


def test_a_fit_that_crashed_goes_on_at_the_last_whole_epoch(tmp_path):
    expected = fit(Mirror(1), tmp_path / "whole.safetensors")
    state = tmp_path / "fit.safetensors"
    with pytest.raises(Stop):
        fit(Mirror(1, crash_at(8)), state)
    resumed = Mirror(2)
    assert_same(fit(resumed, state), expected)
    assert resumed.steps == 3


def test_a_finished_fit_is_not_fitted_again(tmp_path):
    state = tmp_path / "fit.safetensors"
    expected = fit(Mirror(1), state)
    again = Mirror(2)
    assert_same(fit(again, state), expected)
    assert again.steps == 0


def test_the_order_of_the_images_follows_from_the_seed(tmp_path):
    first, same, other = (
        fit(Mirror(1), tmp_path / f"{i}.safetensors", seed=seed) for i, seed in enumerate((0, 0, 1))
    )
    assert_same(same, first)
    assert not torch.equal(other["layers.0.weight"], first["layers.0.weight"])


def test_every_image_is_seen_once_an_epoch(tmp_path):
    seen = []

    class Witness(Mirror):
        def loss(self, batch: Seen, done: float) -> Tensor:
            seen.extend(batch.stages[0][:, 0, 0, 0].tolist())
            return super().loss(batch, done)

    fit(Witness(1), tmp_path / "fit.safetensors")
    first_epoch, second_epoch = seen[:IMAGES], seen[IMAGES : 2 * IMAGES]
    assert len(set(first_epoch)) == IMAGES
    assert sorted(first_epoch) == sorted(second_epoch)
    assert first_epoch != second_epoch


def test_the_loss_and_the_schedule_are_told_how_far_the_training_is(tmp_path):
    module = Mirror(1)
    optimizer = torch.optim.SGD(module.parameters(), 0.5)
    rates: list[float] = []
    module.at = lambda _step: rates.append(optimizer.param_groups[0]["lr"])
    descent = Descent(optimizer, schedule=lambda done: 1 - done)
    minimise(module, descent, features(), options(tmp_path / "fit.safetensors"), Progress())
    assert module.done == [step / 9 for step in range(9)]
    assert rates == pytest.approx([0.5 * (1 - done) for done in module.done])


def test_a_clipped_step_is_no_longer_than_the_norm_allows(tmp_path):
    module = Mirror(1)
    before = nn.utils.parameters_to_vector(module.parameters())
    descent = Descent(torch.optim.SGD(module.parameters(), 1.0), clip=1e-4)
    minimise(module, descent, features(), options(tmp_path / "fit.safetensors"), Progress())
    moved = nn.utils.parameters_to_vector(module.parameters()) - before
    assert 0 < moved.norm() <= 9 * 1.01e-4


@pytest.mark.parametrize("content", [b"", b"no tensors", b"\x08" + bytes(7) + b"{broken}"])
def test_a_damaged_state_is_named_and_the_way_out_told(tmp_path, content):
    state = tmp_path / "fit.safetensors"
    state.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"fit\.safetensors.*remove it"):
        fit(Mirror(1), state)


def test_the_state_of_another_network_is_refused(tmp_path):
    state = tmp_path / "fit.safetensors"
    save_file({"module.other": torch.zeros(2)}, state, metadata={"done": "3"})
    with pytest.raises(CheckpointError, match=r"fit\.safetensors"):
        fit(Mirror(1), state)


def test_a_tensor_file_that_is_no_state_is_refused(tmp_path):
    state = tmp_path / "fit.safetensors"
    save_file({"module.other": torch.zeros(2)}, state)
    with pytest.raises(CheckpointError, match=r"fit\.safetensors"):
        fit(Mirror(1), state)


def test_a_loss_that_is_not_finite_ends_the_fit_and_spares_the_kept_state(tmp_path):
    module, state = Mirror(1), tmp_path / "fit.safetensors"

    def poison(step: int) -> None:
        if step == 5:
            module.layers[0].weight.data.fill_(torch.nan)

    module.at = poison
    with pytest.raises(TrainingError, match="nan"):
        fit(module, state)
    assert all(t.isfinite().all() for t in load_file(state).values())


def test_ctrl_c_works_as_before_once_the_fit_is_over():
    before = signal.getsignal(signal.SIGINT)
    with interruptible() as interrupted:
        assert not interrupted.is_set()
        signal.raise_signal(signal.SIGINT)
        assert interrupted.is_set()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_fit_outside_the_main_thread_runs_uninterruptible(tmp_path):
    results = []
    worker = threading.Thread(target=lambda: results.append(fit(Mirror(1), tmp_path / "fit.st")))
    worker.start()
    worker.join()
    assert len(results) == 1
