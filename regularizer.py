"""The looping-inspired regularizer: successive blocks of k layers are drawn towards each other.
Saunshi et al. 2025, Eq. 4: R_G(k) = 1 / (L - k) * the sum over layers i = 0 .. L - k - 1 of
cosine(theta_G^(i), theta_G^(i+k)) for each parameter group G (Attn-Q, .., FFN-W2), averaged over groups. As
printed and minimised it would push the blocks apart, so the penalty here is 1 - cosine: 0 where the model is
a looped one. Groups are the matrices, with the query, key and value parts of the joint projection apart;
norms and biases are left out, since gains that start at 1 are alike from the beginning."""
import torch
import torch.nn.functional as F

from model import GPT
from stages import is_looped


def groups_of(model: GPT, vectors=False) -> dict:
    """{group: its parameter in every layer, in order}; `vectors` adds norms and biases.
    A model with a loop has no pairs of blocks to compare: {}."""
    if is_looped(getattr(model, 'stages', ())):  # a plain GPT has no stages
        return {}

    groups = {}
    for block in model.blocks:
        for name, parameter in block.named_parameters():
            if parameter.dim() < 2 and not vectors:
                continue
            if 'qkv' not in name:
                groups.setdefault(name, []).append(parameter)
                continue
            # The joint projection holds three groups, one below the other.
            for letter, part in zip('qkv', parameter.chunk(3), strict=True):
                groups.setdefault(name.replace('qkv', letter), []).append(part)
    return groups


def penalty(model: GPT, k: int):
    """The mean over groups and pairs (i, i + k) of 1 - cosine, a scalar.
    Exactly 0 for a model with a loop (Saunshi et al. 2025, Eq. 5, adds it to the loss, times lambda)."""
    by_group = []
    for tensors in groups_of(model).values():
        by_group.append(distances(tensors, k).mean())
    if not by_group:
        return torch.zeros(())
    return torch.stack(by_group).mean()


def distances(tensors: list, k: int):
    """1 - cosine of each pair (i, i + k) of a group's layers, (L - k,)."""
    flat = [tensor.flatten() for tensor in tensors]
    pairs = []
    for a, b in zip(flat, flat[k:], strict=False):
        pairs.append(1 - F.cosine_similarity(a, b, dim=0))
    return torch.stack(pairs)  # (L - k,)


@torch.no_grad()
def similarities(model: GPT, k: int) -> list[dict]:
    """Rows (group, kind, layer, cosine) of layer i with layer i + k, matrices and vectors."""
    rows = []
    for name, tensors in groups_of(model, vectors=True).items():
        kind = 'matrix' if tensors[0].dim() > 1 else 'vector'
        for layer, distance in enumerate(distances(tensors, k).tolist()):
            rows.append(dict(group=name, kind=kind, layer=layer, cosine=1 - distance))
    return rows
