"""Models with their tokenizers, for evaluation in text: our runs, and GPT-2 checkpoints of transformers.

Checkpoints of transformers let the evaluators be checked against published numbers. The other way round,
lm-evaluation-harness, an optional extra (pip install -e '.[harness]'), evaluates a run at any loop count:

    lm_eval.simple_evaluate(adapters.harness_model('out/pile_12x2', loops=2), tasks=['lambada_openai'])
"""
from collections.abc import Callable
from typing import NamedTuple

import torch

from downstream.decoding import Prefix, Prompt, answer_batch, batches
from engine.checkpoint import load_model
from engine.errors import UserError
from engine.runtime import start
from looped import LoopedGPT
from problems.text import END_OF_TEXT
from problems.variables import Variables
from stages import ModelConfig

CHARACTERS_PER_TOKEN = 4  # of GPT-2, about: how much longer an answer may be where tokens are characters


class LanguageModel(NamedTuple):
    """A model with its tokenizer."""
    name: str
    model: LoopedGPT
    encode: Callable  # text -> list of tokens
    decode: Callable  # tokens -> text
    texts: list       # (V,) the text of each token
    end: int          # the token at the end of a text
    scale: int        # tokens for one of GPT-2's, about
    step: int         # of training

    def stops(self, strings) -> torch.Tensor:
        """(V,) bool: the tokens that hold one of the strings, or end the text."""
        found = []
        for token, text in enumerate(self.texts):
            found.append(token == self.end or any(string in text for string in strings))
        return torch.tensor(found, device=self.model.head.weight.device)


def load_language_model(name: str, checkpoint: str = 'ckpt.pt', device='cpu') -> LanguageModel:
    """The model in the folder of a run, or of 'gpt2:' and a name or folder of transformers."""
    if name.startswith('gpt2:'):
        model, tokenizer = load_gpt2(name.removeprefix('gpt2:'), device)
        return with_tokenizer(name, model, tokenizer, tokenizer.end, scale=1, step=0)

    model, task, step, _ = load_model(name, device, checkpoint)  # without the configuration
    path = f'{name}/{checkpoint}'
    if task.per_token:
        scale = 1 if task.tokenizer == 'gpt2' else CHARACTERS_PER_TOKEN
        try:
            tokenizer = task.codec
        except ValueError as error:  # its vocabulary cannot be downloaded
            raise UserError(error) from None
        return with_tokenizer(path, model, tokenizer, END_OF_TEXT[task.tokenizer], scale, step)
    if isinstance(task, Variables):
        return with_tokenizer(path, model, Alphabet(task), task.end, scale=1, step=step)
    raise UserError(f'{name} has no tokenizer: the model knows the symbols of its own task only; '
                    'runs of --task=tokens and --task=variables can be evaluated')


def with_tokenizer(name: str, model, tokenizer, end: int, scale: int, step: int) -> LanguageModel:
    """`tokenizer` has encode and decode; numbers of the vocabulary that it does not use have no text."""
    def encode(text):
        return list(map(int, tokenizer.encode(text)))

    texts = []  # of each token alone
    for token in range(model.config.vocab_size):
        try:
            text = tokenizer.decode([token])
        except (KeyError, IndexError):
            text = ''
        texts.append(text)
    return LanguageModel(name, model, encode, tokenizer.decode, texts, end, scale, step)


class Alphabet:
    """The tokenizer of a model trained on variable assignments alone, in one form and without shots."""

    def __init__(self, task: Variables):
        self.task = task
        self.decode = task.decode

    def encode(self, text: str) -> list[int]:
        form = self.task.form
        letters = self.task.alphabet[:-2]  # without the marks of an end and of padding
        unknown = sorted(set(text) - set(letters))
        if unknown:
            raise UserError(f'the model knows problems of form={form} one at a time, not {unknown[0]!r}: '
                            f'evaluate it on tasks such as {form}_depth0, with --shots=0')
        return [self.task.number[character] for character in text]


# --- GPT-2 checkpoints of transformers

class GPT2Tokenizer:
    """The tokenizer that lies beside a checkpoint of transformers, with the interface of problems/text.py."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.end = tokenizer.eos_token_id

    def encode(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False, verbose=False)['input_ids']

    def decode(self, tokens) -> str:
        return self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def load_gpt2(name: str, device='cpu'):
    """(model, tokenizer) of a GPT-2-family checkpoint: a name on the hub or a folder."""
    try:
        from transformers import AutoConfig, AutoTokenizer, GPT2LMHeadModel
        from transformers.utils import logging
    except ImportError:
        raise UserError('checkpoints of transformers need it: pip install transformers') from None
    logging.set_verbosity_error()

    theirs = None
    try:
        kind = AutoConfig.from_pretrained(name).model_type
        if kind == 'gpt2':
            theirs = GPT2LMHeadModel.from_pretrained(name)
        tokenizer = AutoTokenizer.from_pretrained(name)
    except Exception as error:  # the hub's errors are many
        lines = str(error).splitlines()
        reason = lines[0] if lines else type(error).__name__
        raise UserError(f'gpt2:{name} could not be loaded: {reason}') from None

    if theirs is None:
        raise UserError(f'gpt2:{name} is a {kind}, not a GPT-2')
    model = from_gpt2(theirs).to(device)
    return model.eval(), GPT2Tokenizer(tokenizer)


def from_gpt2(theirs) -> LoopedGPT:
    """A LoopedGPT that computes what a GPT2LMHeadModel computes."""
    c = theirs.config
    if (c.activation_function not in ('gelu_new', 'gelu_pytorch_tanh') or c.layer_norm_epsilon != 1e-5
            or not c.tie_word_embeddings):
        raise UserError(f'a GPT-2 with {c.activation_function}, epsilon {c.layer_norm_epsilon} and '
                        f'tie_word_embeddings={c.tie_word_embeddings} is not what model.py computes')

    config = ModelConfig(
        stages=f'{c.n_layer}x1',
        vocab_size=c.vocab_size,
        block_size=c.n_positions,
        n_embd=c.n_embd,
        n_head=c.n_head,
        n_ff=c.n_inner or 0,  # both have 4 * n_embd where it is not given
        positions='learned',
        norm='layernorm',
        bias=True,
        tie_embeddings=True,
    )
    model = LoopedGPT(config)
    model.load_state_dict(gpt2_state(theirs))
    return model


def gpt2_state(theirs) -> dict:
    """The weights under our names; matrices of Conv1D are transposed, the head is the embedding."""
    parts = {
        'token_embedding': theirs.transformer.wte,
        'position_embedding': theirs.transformer.wpe,
        'final_norm': theirs.transformer.ln_f,
    }
    for i, block in enumerate(theirs.transformer.h):
        parts[f'blocks.{i}.norm1'] = block.ln_1
        parts[f'blocks.{i}.attention.qkv'] = block.attn.c_attn
        parts[f'blocks.{i}.attention.proj'] = block.attn.c_proj
        parts[f'blocks.{i}.norm2'] = block.ln_2
        parts[f'blocks.{i}.feed_forward.up'] = block.mlp.c_fc
        parts[f'blocks.{i}.feed_forward.down'] = block.mlp.c_proj

    state = {'head.weight': theirs.transformer.wte.weight}
    for name, part in parts.items():
        is_transposed = type(part).__name__ == 'Conv1D'
        state[f'{name}.weight'] = part.weight.T if is_transposed else part.weight
        if getattr(part, 'bias', None) is not None:
            state[f'{name}.bias'] = part.bias
    return state


# --- lm-evaluation-harness

def harness_model(name: str, loops: int | None = None, checkpoint='ckpt.pt', batch_size=32, device='auto',
                  dtype='auto'):
    """A model of the harness (TemplateLM): log-likelihoods and greedy generation at `loops` loops.

    name and checkpoint: as in load_language_model. UserError where the harness is not installed.
    """
    try:
        from lm_eval.api.model import TemplateLM
    except ImportError:
        raise UserError("lm-evaluation-harness is missing: pip install -e '.[harness]'") from None
    runtime = start(device, dtype, 'False')
    lm = load_language_model(name, checkpoint, runtime.device)
    runtime.for_inference(lm.model)
    settings = (loops, batch_size, runtime)

    class HarnessModel(TemplateLM):
        eot_token_id = lm.end
        max_length = lm.model.config.block_size

        def tok_encode(self, string, add_special_tokens=None, **_):
            return lm.encode(string)

        def _loglikelihood_tokens(self, requests, **_):
            pairs = [request[1:] for request in requests]
            return loglikelihoods(lm, pairs, *settings)

        def loglikelihood_rolling(self, requests, disable_tqdm=False):
            return [rolling_loglikelihood(lm, request.args[0], *settings) for request in requests]

        def generate_until(self, requests, disable_tqdm=False):
            return generations(lm, [request.args for request in requests], *settings)

    return HarnessModel()


def rolling_loglikelihood(lm: LanguageModel, text: str, loops, batch_size: int, runtime) -> float:
    """Log-likelihood of a whole text after the end of another, in the windows that the harness cuts."""
    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
    windows = get_rolling_token_windows(lm.encode(text), lm.end, lm.model.config.block_size, 1)
    pairs = list(map(make_disjoint_window, windows))  # every token is scored once
    scores = loglikelihoods(lm, pairs, loops, batch_size, runtime)
    total = 0.0
    for score, _ in scores:
        total += score
    return total


@torch.inference_mode()
def loglikelihoods(lm: LanguageModel, pairs: list, loops, batch_size: int, runtime) -> list[tuple]:
    """(log-likelihood, whether greedy) of each continuation after its context; pairs of their tokens.

    A pair that is longer than the model's context loses its beginning.
    """
    size = lm.model.config.block_size
    prompts = []
    for number, (context, continuation) in enumerate(pairs):
        tokens = context + continuation
        prompts.append(Prompt(number, tokens[-size - 1:]))

    results = [None] * len(pairs)
    for batch in batches(prompts, batch_size):
        # Rows are filled up at their ends, which causal attention never sees.
        longest = len(batch[0].tokens)
        filled = [prompt.tokens + [0] * (longest - len(prompt.tokens)) for prompt in batch]
        tokens = torch.tensor(filled, device=runtime.device)  # (B, T + 1)
        with runtime.autocast():
            logits = lm.model(tokens[:, :-1], n_loops=loops).float()  # (B, T, V)

        for i, prompt in enumerate(batch):
            last = len(prompt.tokens) - 1
            n = len(pairs[prompt.number][1])  # tokens of the continuation
            first = max(0, last - n)
            predictions = logits[i, first:last]  # (n, V)
            targets = tokens[i, first + 1:last + 1]  # (n,)
            score = predictions.log_softmax(-1).gather(1, targets[:, None]).sum()
            is_greedy = (predictions.argmax(-1) == targets).all()
            results[prompt.number] = (score.item(), is_greedy.item())
    return results


def generations(lm: LanguageModel, requests: list, loops, batch_size: int, runtime) -> list[str]:
    """Greedy continuations of (context, options) up to the first of options['until'].

    max_gen_toks, 256 by default, takes half of the model's context at most: the rest is the prompt's.
    """
    size = lm.model.config.block_size
    # Requests with the same stops and length are answered together.
    groups = {}  # (until, n_new): prompts
    for number, (context, options) in enumerate(requests):
        if options.get('do_sample') and options.get('temperature', 0) > 0:
            raise UserError('the harness asks for samples; this adapter decodes greedily')
        until = options.get('until') or []
        until = (until,) if isinstance(until, str) else tuple(until)
        n_new = min(options.get('max_gen_toks', 256), size // 2)
        tokens = lm.encode(context)[-(size - n_new + 1):]  # the last new token is never read
        group = groups.setdefault((until, n_new), [])
        group.append(Prompt(number, tokens))

    texts = [''] * len(requests)
    for (until, n_new), prompts in groups.items():
        stops = lm.stops(until)
        for batch in batches(prompts, batch_size):
            rows = [prompt.tokens for prompt in batch]
            with torch.inference_mode(), runtime.autocast():
                prefix = Prefix(lm.model, [], loops)
                answers = answer_batch(prefix, rows, n_new, stops)
            for prompt, answer in zip(batch, answers, strict=True):
                texts[prompt.number] = cut_before(lm.decode(answer), until)
    return texts


def cut_before(text: str, strings) -> str:
    """The text up to the first of the strings in it."""
    end = len(text)
    for string in strings:
        if string in text:
            end = min(end, text.index(string))
    return text[:end]
