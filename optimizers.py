"""The optimizer of a run: Adafactor (Saunshi et al. 2025), AdamW (Fan et al. 2025), or Muon (of neither).
Adafactor (Shazeer and Stern 2018) is written out here, since it has to follow an external learning-rate
schedule: torch.optim.Adafactor caps its step at min(lr, 1/sqrt(t)) and cannot be told not to. Over the 400k
steps from 0.01 of Saunshi et al. it would take 52% of the schedule. This one takes `lr` as given, like
transformers' with relative_step=False."""
import torch


def make_optimizer(model, config):
    """Weight decay on matrices only; every parameter is in exactly one group.
    muon: the blocks' matrices by Muon (Jordan et al. 2024), whose steps are scaled to the size of AdamW's
    (Liu et al. 2025, Eq. 4), so that the learning rates mean the same; all else by AdamW."""
    by_muon, matrices, vectors = sort_parameters(model, config.optimizer)
    groups = [dict(params=matrices, weight_decay=config.weight_decay)]
    if vectors:
        groups.append(dict(params=vectors, weight_decay=0.0))

    if config.optimizer == 'adafactor':
        return Adafactor(groups, lr=config.learning_rate)
    betas = (config.beta1, config.beta2)
    adamw = torch.optim.AdamW(groups, lr=config.learning_rate, betas=betas, fused=True)
    if config.optimizer == 'adamw':
        return adamw
    muon = torch.optim.Muon(by_muon, lr=config.learning_rate, weight_decay=config.weight_decay,
                            adjust_lr_fn='match_rms_adamw')
    return Together(muon, adamw)


def sort_parameters(model, optimizer: str) -> tuple[list, list, list]:
    """(what Muon moves, all other matrices, vectors); embeddings and the head are among the matrices."""
    block_matrices = set()  # ids of what Muon moves
    if optimizer == 'muon':
        block_matrices = {id(p) for p in model.blocks.parameters() if p.dim() == 2}

    by_muon = []
    matrices = []
    vectors = []
    for parameter in model.parameters():
        if id(parameter) in block_matrices:
            by_muon.append(parameter)
        elif parameter.dim() >= 2:
            matrices.append(parameter)
        else:
            vectors.append(parameter)
    return by_muon, matrices, vectors


class Together:
    """Optimizers of different parameters as one."""

    def __init__(self, *parts):
        self.parts = parts

    @property
    def param_groups(self) -> list[dict]:
        groups = []
        for part in self.parts:
            groups += part.param_groups
        return groups

    def step(self):
        for part in self.parts:
            part.step()

    def zero_grad(self):
        for part in self.parts:
            part.zero_grad()

    def state_dict(self) -> dict:
        return dict(parts=[part.state_dict() for part in self.parts])

    def load_state_dict(self, state: dict):
        for part, part_state in zip(self.parts, state['parts'], strict=True):
            part.load_state_dict(part_state)


class Adafactor(torch.optim.Optimizer):
    """Steps of lr * max(eps_scale, RMS(parameter)) * clipped update (Shazeer and Stern 2018, Alg. 4 and 5).
    Matrices keep one second moment a row and one a column, all else one an element; no momentum. beta2 at
    step t is 1 - t^decay (Sec. 7.2); the update is divided by max(1, RMS(update) / clip_threshold) (Sec. 6).
    weight_decay shrinks a parameter by that times its (scaled) step. No value ever leaves the device."""

    def __init__(self, params, lr: float, decay=-0.8, eps=1e-30, eps_scale=1e-3, clip_threshold=1.0,
                 weight_decay=0.0):
        defaults = dict(lr=lr, decay=decay, eps=eps, eps_scale=eps_scale, clip_threshold=clip_threshold,
                        weight_decay=weight_decay)
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for parameter in group['params']:
                if parameter.grad is not None:
                    self.move(parameter, group)

    def move(self, parameter, group: dict):
        state = self.state[parameter]
        state['step'] = state.get('step', 0) + 1
        beta2 = 1.0 - state['step'] ** group['decay']
        update = normalised(parameter.grad.float(), state, beta2, group['eps'])

        # relative to the size of the parameter (Sec. 8), less where the update is unusually large (Sec. 6)
        step_size = group['lr'] * rms(parameter.float()).clamp_(min=group['eps_scale'])
        if group['weight_decay']:
            parameter.mul_(1 - step_size * group['weight_decay'])
        clipped = step_size / (rms(update) / group['clip_threshold']).clamp_(min=1.0)
        parameter.addcmul_(update, clipped, value=-1)


def normalised(grad, state: dict, beta2: float, eps: float):
    """The gradient over the root of its averaged second moment, which `state` keeps.
    Time here is memory traffic, so rows and columns of a matrix are scaled in turn, in place."""
    square = grad.square()
    if grad.dim() < 2:
        return running_mean(state, 'square', square.add_(eps), beta2).rsqrt() * grad

    row = running_mean(state, 'row', square.mean(-1) + eps, beta2)  # (rows,)
    column = running_mean(state, 'column', square.mean(-2) + eps, beta2)  # (columns,)
    row = row / row.mean(-1, keepdim=True)
    update = torch.mul(grad, row.rsqrt().unsqueeze(-1), out=square)  # (rows, columns)
    return update.mul_(column.rsqrt().unsqueeze(-2))


def rms(x):
    return x.norm(2) / x.numel() ** 0.5


def running_mean(state: dict, name: str, value, beta2: float):
    """Moves the running mean `name` towards `value`; beta2 is 0 at the first step."""
    if name not in state:
        state[name] = torch.zeros_like(value)
    return state[name].mul_(beta2).add_(value, alpha=1.0 - beta2)
