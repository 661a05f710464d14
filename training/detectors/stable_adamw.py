"""StableAdamW: Wortsman et al., "Stable and Low-Precision Training for Large-Scale Vision-Language
Models" (NeurIPS 2023), which neither torch nor timm has.

AdamW whose step shrinks where gradients have outgrown their running second moment, as the update
clipping of Adafactor does: a tensor's learning rate is divided by the root mean square of gradient
over moment, where that exceeds 1. The second moment is the largest one so far (AMSGrad, Reddi et
al. 2018), as Dinomaly takes it.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

BETA1, BETA2 = 0.9, 0.999  # how much of the moments stays at a step


class StableAdamW(torch.optim.Optimizer):
    """AdamW with AMSGrad and update clipping; its state is of tensors, one set a parameter."""

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        *,
        weight_decay: float,
        epsilon: float,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay, "epsilon": epsilon})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # noqa: ARG002  torch's signature
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group)

    def _move(self, parameter: Tensor, gradient: Tensor, group: dict) -> None:
        state, rate = self.state[parameter], group["lr"]
        if not state:
            state["step"] = torch.zeros(())
            for name in ("first", "second", "largest"):
                state[name] = torch.zeros_like(parameter)
        state["step"] += 1
        steps = int(state["step"])
        state["first"].lerp_(gradient, 1 - BETA1)
        state["second"].lerp_(gradient.square(), 1 - BETA2)
        torch.maximum(state["largest"], state["second"], out=state["largest"])
        moment = (state["largest"] / (1 - BETA2**steps)).sqrt() + group["epsilon"]
        excess = (gradient / moment).square().mean().sqrt().clamp_min(1)
        parameter.mul_(1 - rate * group["weight_decay"])
        parameter.sub_(state["first"] / moment * (rate / (1 - BETA1**steps) / excess))
