"""Adafactor (Shazeer & Stern 2018) that follows an external learning-rate schedule.

torch.optim.Adafactor caps its step at min(lr, 1/sqrt(t)) and cannot be told not to: over A's 400k steps
from 0.01 it would take 52% of the schedule. This one takes `lr` as given, like transformers' with
relative_step=False.
"""
import torch


class Adafactor(torch.optim.Optimizer):
    """Steps of lr * max(eps_scale, RMS(parameter)) * clipped update (Shazeer & Stern 2018, Alg. 4 and 5).

    Matrices keep one second moment a row and one a column, all else one an element; no momentum. beta2 at
    step t is 1 - t^decay (Sec. 7.2); the update is divided by max(1, RMS(update) / clip_threshold) (Sec. 6).
    weight_decay shrinks a parameter by its own (scaled) step times that. No value ever leaves the device.
    """

    def __init__(self, params, lr: float, decay=-0.8, eps=1e-30, eps_scale=1e-3, clip_threshold=1.0,
                 weight_decay=0.0):
        super().__init__(params, dict(lr=lr, decay=decay, eps=eps, eps_scale=eps_scale,
                                      clip_threshold=clip_threshold, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for parameter in group['params']:
                if parameter.grad is not None:
                    self.update(parameter, self.state[parameter], **group)

    def update(self, parameter, state, lr, decay, eps, eps_scale, clip_threshold, weight_decay, **_):
        grad = parameter.grad.float()
        state['step'] = state.get('step', 0) + 1
        beta2 = 1.0 - state['step'] ** decay
        update = self.normalised(grad, state, beta2, eps)
        step_size = lr * rms(parameter.float()).clamp_(min=eps_scale)
        if weight_decay:
            parameter.mul_(1 - step_size * weight_decay)
        clipped = step_size / (rms(update) / clip_threshold).clamp_(min=1.0)
        parameter.addcmul_(update, clipped, value=-1)

    def normalised(self, grad, state, beta2: float, eps: float):
        """The gradient over the root of its averaged second moment, which `state` keeps.

        Time here is memory traffic, so rows and columns of a matrix are scaled in turn, in place.
        """
        square = grad.square()
        if grad.dim() < 2:
            return ema(state, 'square', square.add_(eps), beta2).rsqrt() * grad
        row = ema(state, 'row', square.mean(-1) + eps, beta2)  # one for each row
        column = ema(state, 'column', square.mean(-2) + eps, beta2)
        row = row / row.mean(-1, keepdim=True)
        return torch.mul(grad, row.rsqrt().unsqueeze(-1), out=square).mul_(column.rsqrt().unsqueeze(-2))


def rms(x):
    return x.norm(2) / x.numel() ** 0.5


def ema(state: dict, name: str, value, beta2: float):
    """Moves the running mean `name` towards `value`; beta2 is 0 at the first step."""
    if name not in state:
        state[name] = torch.zeros_like(value)
    return state[name].mul_(beta2).add_(value, alpha=1.0 - beta2)
