"""Cases of decoding: 256 tokens after a prompt of 16, greedy, beside transformers and without the cache."""
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch

from looped import LoopedGPT
from peers.cases import Case
from peers.models import LM_SHAPE, make_gpt2
from sample import generate
from stages import ModelConfig

N_NEW = 256
SHAPE = LM_SHAPE | dict(vocab_size=1024)


def decoding(runtime) -> Iterator[Case]:
    """In float32 and as sample.py does it, which takes bfloat16 where that is fast; the peer in float32."""
    gpt2 = make_gpt2(SHAPE).to(runtime.device).eval()
    single = torch.randint(0, SHAPE['vocab_size'], (1, 16), device=runtime.device)  # (B, T)
    batch = torch.randint(0, SHAPE['vocab_size'], (16, 16), device=runtime.device)
    for dtype in dict.fromkeys(['float32', runtime.dtype]):
        case_runtime = replace(runtime, dtype=dtype)
        model = LoopedGPT(ModelConfig(stages='6x1', **SHAPE)).to(runtime.device).eval()
        model = case_runtime.for_inference(model)
        ours = partial(decode, model, case_runtime)

        peer = partial(decode_gpt2, gpt2)
        name = 'transformers float32 with its cache'
        yield decoding_case(f'{dtype} batch 1, {name}', ours, peer, single)
        yield decoding_case(f'{dtype} batch 16, {name}', ours, peer, batch)
        peer = partial(decode_gpt2, gpt2, cached=False)
        yield decoding_case(f'{dtype} batch 1, transformers float32 without a cache', ours, peer, single)
        if dtype == 'float32':
            peer = partial(decode_uncached, model)
            yield decoding_case('float32 batch 1, ours without a cache', ours, peer, single)


def decoding_case(name: str, ours, peer, prompt) -> Case:
    """Both functions continue the same prompt (B, T)."""
    ours = partial(ours, prompt=prompt)
    peer = partial(peer, prompt=prompt)
    return Case('decoding 256 tokens', name, ours, peer, N_NEW * len(prompt), 'tokens/s')


def decode(model, runtime, prompt):
    with runtime.autocast():
        generate(model, prompt, N_NEW)


@torch.inference_mode()
def decode_uncached(model, prompt):
    for _ in range(N_NEW):
        logits = model(prompt, last_only=True)[:, -1]  # (B, V)
        token = logits.argmax(-1, keepdim=True)  # (B, 1)
        prompt = torch.cat([prompt, token], 1)


@torch.inference_mode()
def decode_gpt2(gpt2, prompt, cached=True):
    gpt2.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=N_NEW, do_sample=False,
                  pad_token_id=0, use_cache=cached)
