"""The optimizer of a run: A's Adafactor, B's AdamW, or Muon, which is of neither paper."""
import torch

from adafactor import Adafactor


def make_optimizer(model, config):
    """Weight decay on matrices only; every parameter is in exactly one group.

    muon: the blocks' matrices by Muon (Jordan et al. 2024), whose steps are scaled to the size of AdamW's
    (Liu et al. 2025, Eq. 4), so that the learning rates mean the same; all else by AdamW.
    """
    betas, rate, decay = (config.beta1, config.beta2), config.learning_rate, config.weight_decay
    inner = {id(p) for p in model.blocks.parameters() if p.dim() == 2 and config.optimizer == 'muon'}
    by_muon = [p for p in model.parameters() if id(p) in inner]
    rest = [p for p in model.parameters() if id(p) not in inner]
    groups = [dict(params=[p for p in rest if p.dim() >= 2], weight_decay=decay),
              dict(params=[p for p in rest if p.dim() < 2], weight_decay=0.0)]
    groups = [group for group in groups if group['params']]
    if config.optimizer == 'adafactor':
        return Adafactor(groups, lr=rate)
    adamw = torch.optim.AdamW(groups, lr=rate, betas=betas, fused=True)
    if config.optimizer == 'adamw':
        return adamw
    muon = torch.optim.Muon(by_muon, lr=rate, weight_decay=decay, adjust_lr_fn='match_rms_adamw')
    return Together(muon, adamw)


class Together:
    """Optimizers of different parameters as one."""

    def __init__(self, *parts):
        self.parts = parts

    @property
    def param_groups(self) -> list[dict]:
        return [group for part in self.parts for group in part.param_groups]

    def step(self):
        for part in self.parts:
            part.step()

    def zero_grad(self):
        for part in self.parts:
            part.zero_grad()

    def state_dict(self) -> dict:
        return dict(parts=[part.state_dict() for part in self.parts])

    def load_state_dict(self, state: dict):
        for part, own in zip(self.parts, state['parts'], strict=True):
            part.load_state_dict(own)
