"""What a run takes, counted without training: parameters, FLOPs, memory, tokens; and the micro-batch."""
import math
from bisect import bisect_left

import torch

from engine.runtime import PEAK_FLOPS, start
from looped import RECOMPUTED, LoopedGPT
from model import LOGITS_MAX
from stages import effective_depth

CACHE = 40e6  # bytes of a CPU's last cache that a block's activations may take
SPEED_SHARE = 0.4  # of the speed of large matrix products that training reaches, about
MEMORY_SHARE = 0.8  # of a device's memory, for parameters and activations; the rest is the allocator's


def dry_run(config, task):
    """Prints what the run would take; the model lives on the meta device, so its size does not matter."""
    model = on_meta(config)
    runtime = start(config.device, config.dtype, 'False')
    share = runtime.share(config.batch_size)
    micro = micro_batch(config, task, runtime)

    parameters = model.count_parameters()
    in_blocks = sum(parameter.numel() for parameter in model.blocks.parameters())
    flops = model.flops_per_token(task.block_size)
    tokens = config.max_steps * config.batch_size * task.block_size
    most = '' if task.fixed_size else 'at most '  # short problems take fewer tokens and loops
    peak = 8 * PEAK_FLOPS['H100 80GB HBM3']['bfloat16']
    days = flops * tokens / (peak * config.dry_run_mfu) / 86_400
    held = held_bytes(model, config)
    kept = activation_bytes(model, micro, task.block_size, runtime.dtype)

    print(f'stages             {config.stages}: {len(model.blocks)} distinct layers, '
          f'effective depth {effective_depth(model.stages)}')
    print(f'parameters         {parameters:,}: {in_blocks:,} in blocks, {parameters - in_blocks:,} in '
          'embeddings, last norm and head')
    print(f'training FLOPs     {flops:,} a token, {most}{flops * tokens:.3g} in all: {days:.3g} days on 8 '
          f'H100 at {100 * config.dry_run_mfu:g}% of their bfloat16 peak')
    print(f'tokens             {most}{tokens:,} = {config.max_steps:,} steps x {config.batch_size} '
          f'x {task.block_size}')
    print(f'memory a device    about {(held + kept) / 1e9:.2f} GB: parameters, gradients and optimizer '
          f'{held / 1e9:.2f}, activations of {micro} of {share} sequences at a time {kept / 1e9:.2f} at most')


def time_estimate(model, task, config, runtime, step: int) -> str:
    """How long the rest may take, by the machine's matrix products; which preset is meant for a laptop."""
    tokens = (config.max_steps - step) * config.batch_size * task.block_size
    flops = tokens * model.flops_per_token(task.block_size)
    hours = flops / (SPEED_SHARE * runtime.product_flops() * runtime.world) / 3600
    time = f'{hours:.1f} hours' if hours >= 1 else f'{60 * hours:.0f} minutes'
    text = f'about {time} of training' + ('' if task.fixed_size else ' at most')
    if runtime.compile:
        text += ', and up to a minute of compiling'
    if hours > 24 and runtime.device.type == 'cpu':
        text += '; the presets in config/laptop/ (make demo) are meant for a machine like this'
    return text


def on_meta(config) -> LoopedGPT:
    """The run's model without any memory for its weights."""
    with torch.device('meta'):
        return LoopedGPT(config)


def micro_batch(config, task, runtime) -> int:
    """Sequences at once of a device's share: as asked for, or that of the fewest parts that fit.
    A GPU's memory holds them, and device_memory where that is set. On a CPU what a block keeps of them stays
    in the cache, if the gradients, which every part adds to, do too, and if all sequences are of one length
    (1.2 times as fast as 64 sequences of p-hop at once). Parts differ by one sequence at most; half as many
    more parts are taken where that makes them equal."""
    share = runtime.share(config.batch_size)
    if config.micro_batch_size:
        return min(config.micro_batch_size, share)

    memory = 1e9 * config.device_memory
    if runtime.device.type == 'cuda':
        total = torch.cuda.get_device_properties(runtime.device).total_memory
        memory = min(memory or total, total)
    model = on_meta(config)
    room = math.inf
    if memory:
        room = MEMORY_SHARE * memory - held_bytes(model, config)
    small = 4 * model.count_parameters() <= CACHE
    cached = runtime.device.type == 'cpu' and task.fixed_size and small

    def fits(size: int) -> bool:
        in_memory = activation_bytes(model, size, task.block_size, runtime.dtype) <= room
        in_cache = not cached or block_bytes(model, size, task.block_size, runtime.dtype) <= CACHE
        return in_memory and in_cache

    return math.ceil(share / fewest_parts(share, fits))


def fewest_parts(share: int, fits) -> int:
    """Into how few parts `share` sequences are cut so that each fits, at most half as many again if equal."""
    fewest = 1 + bisect_left(range(1, share), True, key=lambda parts: fits(math.ceil(share / parts)))
    for parts in range(fewest, fewest + fewest // 2 + 1):
        if share % parts == 0:
            return parts
    return fewest


def held_bytes(model, config) -> int:
    """Parameters and gradients in float32, with AdamW's two moments or Muon's one; Adafactor's are small."""
    bytes_per_parameter = dict(adamw=16, muon=12, adafactor=8)
    return bytes_per_parameter[config.optimizer] * model.count_parameters()


def activation_bytes(model, sequences: int, T: int, dtype: str) -> int:
    """Bytes kept for the backward pass: what a block saves, times its uses, and the logits."""
    one_block = block_bytes(model, sequences, T, dtype)
    logits = 2 * 4 * min(LOGITS_MAX, sequences * T * model.config.vocab_size)
    if not model.config.checkpoint_loops:
        return one_block * effective_depth(model.stages) + logits

    # Kept are the inputs of every part that is recomputed, and all of the one that is recomputed now.
    one_input = sequences * T * model.config.n_embd * getattr(torch, dtype).itemsize
    parts = sum(stage.loops * math.ceil(stage.layers / RECOMPUTED) for stage in model.stages)
    longest = max(stage.layers for stage in model.stages)
    return one_input * parts + one_block * min(RECOMPUTED, longest) + logits


def block_bytes(model, sequences: int, T: int, dtype: str) -> int:
    """Bytes that a block saves for its backward pass, counted on the meta device.
    Attention counts as it runs on a CPU up to length 512; a GPU's fused kernel keeps less."""
    torch_dtype = getattr(torch, dtype)
    block = model.blocks[0].to(torch_dtype)
    x = torch.empty(sequences, T, model.config.n_embd, device='meta', dtype=torch_dtype, requires_grad=True)
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
