"""What a run takes, counted without training: parameters, FLOPs, memory, tokens; and the micro-batch."""
import math

import torch

from cross_entropy import LOGITS_MAX
from engine import runtime as runtimes
from looped import RECOMPUTED, build_model
from stages import effective_depth, parse_stages
from tasks import LENGTH_TASKS

CACHE = 40e6  # bytes of a CPU's last cache that a block's activations may take
MEMORY_SHARE = 0.8  # of a device's memory, for parameters and activations; the rest is the allocator's


def dry_run(config, task):
    """Prints what the run would take; the model lives on the meta device, so its size does not matter."""
    model, runtime = on_meta(config, task), runtimes.start(config.device, config.dtype, 'False')
    parameters, flops = model.count_parameters(), model.flops_per_token(task.block_size)
    tokens = config.max_steps * config.batch_size * task.block_size
    share, micro = runtime.share(config.batch_size), micro_batch(config, task, runtime)
    blocks = sum(p.numel() for block in model.blocks for p in block.parameters())
    depth = effective_depth(parse_stages(config.stages))
    most = 'at most ' if config.task in LENGTH_TASKS else ''  # short problems take fewer tokens and loops
    peak = 8 * runtimes.PEAK_FLOPS['H100 80GB HBM3']['bfloat16']
    days = flops * tokens / (peak * config.dry_run_mfu) / 86_400
    print(f'stages             {config.stages}: {model.config.n_layer} distinct layers, '
          f'effective depth {depth}')
    print(f'parameters         {parameters:,}: {blocks:,} in blocks, {parameters - blocks:,} in embeddings, '
          'last norm and head')
    print(f'training FLOPs     {flops:,} a token, {most}{flops * tokens:.3g} in all: {days:.3g} days on 8 '
          f'H100 at {100 * config.dry_run_mfu:g}% of their bfloat16 peak')
    print(f'tokens             {most}{tokens:,} = {config.max_steps:,} steps x {config.batch_size} '
          f'x {task.block_size}')
    held = held_bytes(model, config)
    kept = activation_bytes(model, config, micro, task.block_size, runtime.dtype)
    print(f'memory a device    about {(held + kept) / 1e9:.2f} GB: parameters, gradients and optimizer '
          f'{held / 1e9:.2f}, activations of {micro} of {share} sequences at a time {kept / 1e9:.2f} at most')


def on_meta(config, task):
    with torch.device('meta'):
        return build_model(config, task.vocab_size, config.block_size)


def micro_batch(config, task, runtime) -> int:
    """Sequences at once of a device's share: as asked for, or the largest of equal parts that fits.

    A GPU's memory holds it, and device_memory where that is set. On a CPU what a block keeps of it stays in
    the cache, if the gradients, which every part adds to, do too, and if all sequences are of one length
    (1.2 times as fast as 64 sequences of p-hop at once).
    """
    memory, share = 1e9 * config.device_memory, runtime.share(config.batch_size)
    if config.micro_batch_size:
        return min(config.micro_batch_size, share)
    if runtime.device.type == 'cuda':
        there = torch.cuda.get_device_properties(runtime.device).total_memory
        memory = min(memory or there, there)
    model = on_meta(config, task)
    room = MEMORY_SHARE * memory - held_bytes(model, config) if memory else math.inf
    cached = runtime.device.type == 'cpu' and task.fixed_size and 4 * model.count_parameters() <= CACHE

    def fits(sequences):
        shape = sequences, task.block_size, runtime.dtype
        return (activation_bytes(model, config, *shape) <= room
                and (not cached or block_bytes(model, *shape) <= CACHE))
    return next((size for size in range(share, 1, -1) if share % size == 0 and fits(size)), 1)


def held_bytes(model, config) -> int:
    """Parameters and gradients in float32, with AdamW's two moments or Muon's one; Adafactor's are small."""
    return dict(adamw=16, muon=12, adafactor=8)[config.optimizer] * model.count_parameters()


def activation_bytes(model, config, sequences: int, T: int, dtype: str) -> int:
    """Bytes kept for the backward pass: what a block saves, times its uses, and the logits."""
    one_block, depth = block_bytes(model, sequences, T, dtype), effective_depth(model.stages)
    logits = 2 * 4 * min(LOGITS_MAX, sequences * T * model.config.vocab_size)
    if not config.checkpoint_loops:
        return one_block * depth + logits
    kept = sum(stage.loops * -(-stage.layers // RECOMPUTED) for stage in model.stages)
    recomputed = min(RECOMPUTED, max(stage.layers for stage in model.stages))
    one_x = sequences * T * model.config.n_embd * getattr(torch, dtype).itemsize
    return one_x * kept + one_block * recomputed + logits


def block_bytes(model, sequences: int, T: int, dtype: str) -> int:
    """Bytes that a block saves for its backward pass, counted on the meta device.

    Attention counts as it runs on a CPU up to length 512; a GPU's fused kernel keeps less.
    """
    kind = getattr(torch, dtype)
    block = model.blocks[0].to(kind)
    x = torch.empty(sequences, T, model.config.n_embd, device='meta', dtype=kind, requires_grad=True)
    weights = {id(parameter) for parameter in block.parameters()}
    saved = {}

    def count(tensor):
        if id(tensor) not in weights:
            # Views share a storage; holding it keeps the key unique.
            saved[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        block(x, model.rope(torch.arange(T, device='meta')))
    return sum(tensor.untyped_storage().nbytes() for tensor in saved.values())
