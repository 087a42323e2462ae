"""The models that are compared, with random weights: ours, and GPT-2 of transformers with the same shape."""
import json

import torch

from looped import LoopedGPT
from stages import ModelConfig

PHOP_SHAPE = dict(vocab_size=5, block_size=256, n_head=8, n_embd=128)
LM_SHAPE = dict(vocab_size=50_304, block_size=512, n_head=8, n_embd=512)


def make_looped(stages: str, shape: dict) -> LoopedGPT:
    config = ModelConfig(stages=stages, **shape)
    return LoopedGPT(config, torch.Generator().manual_seed(0))


def make_parity_model() -> LoopedGPT:
    """One layer of width 128 looped 20 times, with the options of Fan et al. 2025."""
    config = ModelConfig(stages='1x20', vocab_size=5, block_size=24, n_head=4, n_embd=128, positions='none',
                         norm='layernorm', bias=True, input_injection=True, norm_each_loop=True)
    return LoopedGPT(config, torch.Generator().manual_seed(0))


def make_gpt2(shape: dict, n_layer=6):
    """A GPT-2 of our shape (fields of ModelConfig), without dropout."""
    import transformers
    transformers.logging.set_verbosity_error()
    config = transformers.GPT2Config(
        vocab_size=shape['vocab_size'], n_positions=shape['block_size'],
        n_embd=shape['n_embd'], n_layer=n_layer, n_head=shape['n_head'],
        bos_token_id=None, eos_token_id=None,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        loss_type='ForCausalLM')
    return transformers.GPT2LMHeadModel(config)


def save_random_gpt2(folder: str, **sizes):
    """Saves a GPT-2 of these sizes, with a tokenizer whose tokens are bytes, as transformers does."""
    import transformers
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=257, bos_token_id=256, eos_token_id=256, **sizes)
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)

    letters = transformers.models.gpt2.tokenization_gpt2.bytes_to_unicode().values()
    vocabulary = {letter: number for number, letter in enumerate(letters)}
    vocabulary['<|endoftext|>'] = 256
    with open(f'{folder}/vocab.json', 'w', encoding='utf-8') as file:
        json.dump(vocabulary, file)
    with open(f'{folder}/merges.txt', 'w', encoding='utf-8') as file:
        file.write('#version: 0.2\n')
    transformers.GPT2Tokenizer(f'{folder}/vocab.json', f'{folder}/merges.txt').save_pretrained(folder)
