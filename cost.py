"""What a run takes, counted without training: parameters, FLOPs, memory, tokens; and the micro-batch."""
import torch

import runtime as runtimes
from looped import RECOMPUTED, build_model
from model import LOGITS_MAX
from stages import effective_depth, parse_stages
from tasks import LENGTH_TASKS

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
    """Sequences at once of a device's share: as asked for, or as many as its memory holds, in equal parts."""
    memory, share = 1e9 * config.device_memory, runtime.share(config.batch_size)
    if runtime.device.type == 'cuda':
        there = torch.cuda.get_device_properties(runtime.device).total_memory
        memory = min(memory or there, there)
    if config.micro_batch_size or not memory:
        return min(config.micro_batch_size or share, share)
    model, parts = on_meta(config, task), 1
    room = MEMORY_SHARE * memory - held_bytes(model, config)
    while parts < share and activation_bytes(model, config, -(-share // parts), task.block_size,
                                             runtime.dtype) > room:
        parts += 1
    return -(-share // parts)


def held_bytes(model, config) -> int:
    """Parameters and gradients in float32, and AdamW's two moments; Adafactor's are negligible."""
    return (16 if config.optimizer == 'adamw' else 8) * model.count_parameters()


def activation_bytes(model, config, sequences: int, T: int, dtype: str) -> int:
    """Bytes kept for the backward pass: what a block saves, counted on the meta device, times its uses.

    Attention counts as it runs on a CPU up to length 512; a GPU's fused kernel keeps less.
    """
    kind = getattr(torch, dtype)
    block = model.blocks[0].to(kind)
    x = torch.empty(sequences, T, config.n_embd, device='meta', dtype=kind, requires_grad=True)
    weights = {id(parameter) for parameter in block.parameters()}
    saved = {}

    def count(tensor):
        if id(tensor) not in weights:
            # Views share a storage; holding it keeps the key unique.
            saved[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        block(x, model.rope(torch.arange(T, device='meta')))
    one_block = sum(tensor.untyped_storage().nbytes() for tensor in saved.values())
    one_x = x.numel() * x.element_size()
    logits = 2 * 4 * min(LOGITS_MAX, sequences * T * model.config.vocab_size)
    if not config.checkpoint_loops:
        return one_block * effective_depth(model.stages) + logits
    kept = sum(stage.loops * -(-stage.layers // RECOMPUTED) for stage in model.stages)
    recomputed = min(RECOMPUTED, max(stage.layers for stage in model.stages))
    return one_x * kept + one_block * recomputed + logits
