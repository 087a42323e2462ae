"""Cross entropy of a linear layer over a large vocabulary, without ever holding all of its logits."""
import torch
import torch.nn.functional as F

LOGITS_MAX = 2 ** 25  # logits held at once: 128 MB in float32


def chunk_size(vocabulary: int) -> int:
    """How many tokens' logits are held at once."""
    return max(1, LOGITS_MAX // vocabulary)


def linear_cross_entropy(x, weight, targets):
    """Summed cross entropy, nats, of the logits x @ weight.T; targets of -100 are left out.

    x (N, C), weight (V, C), targets (N,). Products have the dtype of autocast where that is on.
    """
    if len(x) <= chunk_size(len(weight)):
        return F.cross_entropy(F.linear(x, weight).float(), targets, reduction='sum')
    if torch.is_grad_enabled():
        return LinearCrossEntropy.apply(x, weight, targets)
    parts = zip(x.split(chunk_size(len(weight))), targets.split(chunk_size(len(weight))), strict=True)
    return sum(F.cross_entropy(F.linear(part, weight).float(), own, reduction='sum') for part, own in parts)


class LinearCrossEntropy(torch.autograd.Function):
    """A chunk of tokens at a time, whose gradients are computed while its logits are there.

    So nothing is computed twice, as in checkpointing (Hsu et al. 2024, Sec. 3.2): 1.4 times as fast.
    """

    @staticmethod
    def forward(ctx, x, weight, targets):
        kind, device = x.dtype, x.device.type
        if torch.is_autocast_enabled(device):
            kind = torch.get_autocast_dtype(device)
        total = torch.zeros((), device=x.device)
        x_gradient, weight_gradient = torch.empty_like(x), torch.zeros_like(weight)
        with torch.autocast(device, enabled=False):
            w, size = weight.to(kind), chunk_size(len(weight))
            parts = (whole.split(size) for whole in (x, targets, x_gradient))
            for part, own, out in zip(*parts, strict=True):
                part, scored, own = part.to(kind), (own >= 0)[:, None], own.clamp(min=0)[:, None]
                log_p = F.log_softmax((part @ w.t()).float(), -1)
                total -= (log_p.gather(1, own) * scored).sum()
                slope = log_p.exp_().scatter_add_(1, own, -torch.ones_like(own, dtype=log_p.dtype))  # p - 1
                slope = (slope * scored).to(kind)
                out.copy_(slope @ w)
                weight_gradient += slope.t() @ part
        ctx.save_for_backward(x_gradient, weight_gradient)
        return total

    @staticmethod
    def backward(ctx, gradient):
        x_gradient, weight_gradient = ctx.saved_tensors
        return x_gradient * gradient, weight_gradient * gradient, None
