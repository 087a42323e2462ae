"""What a run would take: parameters, FLOPs, memory and tokens, counted without training (--dry_run=True)."""
import torch

import runtime as runtimes
from looped import build_model
from stages import effective_depth, parse_stages
from tasks import LENGTH_TASKS


def dry_run(config, task):
    """Prints what the run would take; the model lives on the meta device, so its size does not matter."""
    with torch.device('meta'):
        model = build_model(config, task.vocab_size, config.block_size)
    runtime = runtimes.start(config.device, config.dtype, 'False')
    parameters, flops = model.count_parameters(), model.flops_per_token(task.block_size)
    tokens = config.max_steps * config.batch_size * task.block_size
    share = -(-config.batch_size // runtime.world)
    micro = min(config.micro_batch_size or share, share)
    state = 8 if config.optimizer == 'adamw' else 0  # bytes a parameter; Adafactor's are negligible
    kept = activation_bytes(model, config, micro, task.block_size, runtime.dtype)
    depth = effective_depth(parse_stages(config.stages))
    most = 'at most ' if config.task in LENGTH_TASKS else ''  # short problems take fewer tokens and loops
    print(f'stages             {config.stages}: {model.config.n_layer} distinct layers, '
          f'effective depth {depth}')
    print(f'parameters         {parameters:,}')
    print(f'training FLOPs     {flops:,} a token, {most}{flops * tokens:.3g} in all')
    print(f'tokens             {most}{tokens:,} = {config.max_steps:,} steps x {config.batch_size} '
          f'x {task.block_size}')
    held = (8 + state) * parameters
    print(f'memory a device    about {(held + kept) / 1e9:.2f} GB: parameters, gradients and optimizer '
          f'{held / 1e9:.2f}, activations of {micro} sequences {kept / 1e9:.2f} at most')


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
        block(x, model.rope(0, T, 'meta'))
    one_block = sum(tensor.untyped_storage().nbytes() for tensor in saved.values())
    one_x = x.numel() * x.element_size()
    logits = 2 * 4 * sequences * T * model.config.vocab_size
    stages = model.stages
    if config.checkpoint_loops:
        return one_x * sum(s.loops for s in stages) + one_block * max(s.layers for s in stages) + logits
    return one_block * effective_depth(stages) + logits
