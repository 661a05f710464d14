from copy import deepcopy

import pytest
import torch
from torch import nn

from onegauge.training.detectors.stable_adamw import StableAdamW


def optimizer_of(parameter: nn.Parameter) -> StableAdamW:
    return StableAdamW([parameter], 0.01, weight_decay=0.1, epsilon=1e-10)


def descend(optimizer: torch.optim.Optimizer, parameter: nn.Parameter, gradients) -> None:
    for gradient in gradients:
        parameter.grad = torch.full_like(parameter, gradient)
        optimizer.step()


def test_under_steady_gradients_it_is_adamw_with_amsgrad():
    ours, theirs = (nn.Parameter(torch.linspace(-1, 1, 5)) for _ in range(2))
    adamw = torch.optim.AdamW([theirs], 0.01, weight_decay=0.1, amsgrad=True, eps=1e-10)
    descend(optimizer_of(ours), ours, [0.3] * 20)
    descend(adamw, theirs, [0.3] * 20)
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_a_gradient_that_jumps_shortens_its_own_step():
    parameter = nn.Parameter(torch.zeros(3))
    optimizer = optimizer_of(parameter)
    descend(optimizer, parameter, [1.0] * 100)
    before = parameter.detach().clone()
    descend(optimizer, parameter, [100.0])
    first = 0.9 * (1 - 0.9**100) + 0.1 * 100
    second = (0.999 * (1 - 0.999**100) + 0.001 * 100**2) / (1 - 0.999**101)
    excess = 100 / second**0.5  # the gradient in units of its moment
    step = 0.01 * first / (1 - 0.9**101) / second**0.5 / excess
    assert excess > 3
    moved = (1 - 0.01 * 0.1) * before - parameter.detach()
    assert moved.tolist() == pytest.approx([step] * 3, rel=1e-3)


def test_the_largest_moment_so_far_keeps_later_steps_short():
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = optimizer_of(parameter)
    descend(optimizer, parameter, [100.0] + [0.1] * 5000)
    before = float(parameter.detach())
    descend(optimizer, parameter, [0.1])
    assert abs(before - float(parameter.detach())) < 1e-2 * 0.01  # without it: about 0.01


def test_its_state_goes_on_in_another_optimizer():
    gone_on, resumed = (nn.Parameter(torch.ones(4)) for _ in range(2))
    first = optimizer_of(gone_on)
    descend(first, gone_on, [0.5, 2.0, 0.1])
    with torch.no_grad():
        resumed.copy_(gone_on)
    second = optimizer_of(resumed)
    second.load_state_dict(deepcopy(first.state_dict()))
    assert all(torch.is_tensor(v) for state in second.state.values() for v in state.values())
    descend(first, gone_on, [3.0])
    descend(second, resumed, [3.0])
    assert torch.equal(gone_on, resumed)


def test_what_has_no_gradient_stays():
    moving, frozen = (nn.Parameter(torch.ones(2)) for _ in range(2))
    optimizer = StableAdamW([moving, frozen], 0.01, weight_decay=0.1, epsilon=1e-10)
    descend(optimizer, moving, [1.0])
    assert torch.equal(frozen, torch.ones(2))
    assert not torch.equal(moving, torch.ones(2))
