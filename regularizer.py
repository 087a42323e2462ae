"""The looping-inspired regularizer (A, Sec. 4): successive blocks of k layers are drawn towards each other.

A, Eq. 4: R_G(k) = 1 / (L - k) * the sum over layers i = 0 .. L - k - 1 of cosine(theta_G^(i), theta_G^(i+k))
for each parameter group G (Attn-Q, .., FFN-W2), averaged over groups. As printed and minimised it would push
the blocks apart, so the penalty here is 1 - cosine: 0 where the model is a looped one. Groups are the
matrices, with the query, key and value parts of the joint projection apart; norms and biases are left out,
since gains that start at 1 are alike from the beginning.
"""
import torch
import torch.nn.functional as F

from model import GPT


def groups_of(model: GPT, vectors=False) -> dict:
    """{group: its parameter in every layer, in order}; `vectors` adds norms and biases.

    A model with a loop has no pairs of blocks to compare: {}.
    """
    if any(stage.loops > 1 for stage in getattr(model, 'stages', ())):
        return {}
    out = {}
    for block in model.blocks:
        for name, parameter in block.named_parameters():
            if parameter.dim() < 2 and not vectors:
                continue
            parts = dict(zip('qkv', parameter.chunk(3), strict=True)) if 'qkv' in name else {'': parameter}
            for part, tensor in parts.items():
                out.setdefault(name.replace('qkv', part), []).append(tensor)
    return out


def penalty(model: GPT, k: int, kind: str = 'cosine'):
    """The mean over groups and pairs (i, i + k) of 1 - cosine, or of the squared distance ('l2').

    l2, which A also tried, is relative, |a - b|^2 / (|a|^2 + |b|^2): no group weighs more by its size. A
    scalar, exactly 0 for a model with a loop.
    """
    terms = [distances(tensors, k, kind).mean() for tensors in groups_of(model).values()]
    return torch.stack(terms).mean() if terms else torch.zeros(())


def distances(tensors: list, k: int, kind: str = 'cosine'):
    """One number for each pair (i, i + k) of a group's layers, (L - k,)."""
    flat = [tensor.flatten() for tensor in tensors]
    distance = relative_l2 if kind == 'l2' else lambda a, b: 1 - F.cosine_similarity(a, b, dim=0)
    return torch.stack([distance(a, b) for a, b in zip(flat, flat[k:], strict=False)])


def relative_l2(a, b):
    return (a - b).square().sum() / (a.square().sum() + b.square().sum())


@torch.no_grad()
def similarities(model: GPT, k: int) -> list[dict]:
    """Rows (group, kind, layer, cosine) of layer i with layer i + k, matrices and vectors."""
    kinds = ('vector', 'matrix')
    return [dict(group=name, kind=kinds[tensors[0].dim() > 1], layer=i, cosine=1 - distance)
            for name, tensors in groups_of(model, vectors=True).items()
            for i, distance in enumerate(distances(tensors, k).tolist())]
