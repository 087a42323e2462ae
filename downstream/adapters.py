"""Models that can be asked in text: our runs, GPT-2 checkpoints of transformers; ours for the harness.

Checkpoints of transformers let the evaluators be checked against published numbers. lm-evaluation-harness,
an optional extra (pip install -e '.[harness]'), takes a run at any loop count:

    lm_eval.simple_evaluate(adapters.harness_model('out/pile_12x2', loops=2), tasks=['lambada_openai'])
"""
from typing import NamedTuple

import torch

from downstream.decoding import Prefix, Prompt, answer_batch, batches
from engine.checkpoint import load_model
from engine.configurator import UserError
from engine.runtime import start
from looped import LoopedGPT
from model import GPTConfig
from problems.text import END_OF_TEXT
from problems.variables import Variables

CHARACTERS = 4  # to a token of GPT-2: how much longer an answer may be where tokens are characters


class Subject(NamedTuple):
    """A model with its tokens: `texts` (V,) has the text of each, `end` is the one at a text's end."""
    name: str
    model: LoopedGPT
    encode: object
    decode: object
    texts: list
    end: int
    scale: int  # tokens for one of GPT-2's, about
    step: int

    def stops(self, strings) -> torch.Tensor:
        """(V,) bool: the tokens that hold one of the strings, or end the text."""
        found = [token == self.end or any(string in text for string in strings)
                 for token, text in enumerate(self.texts)]
        return torch.tensor(found, device=self.model.head.weight.device)


def subject_of(name: str, checkpoint: str = 'ckpt.pt', device='cpu') -> Subject:
    """The folder of a run, or 'gpt2:' and a name or folder of transformers."""
    if name.startswith('gpt2:'):
        model, tokens = load_gpt2(name.removeprefix('gpt2:'), device)
        return with_tokens(name, model, tokens, tokens.end, 1, 0)
    model, task, step, _ = load_model(name, device, checkpoint)
    named = f'{name}/{checkpoint}'
    if task.per_token:
        try:
            tokens, scale = task.tokenizer, 1 if task.name == 'gpt2' else CHARACTERS
        except ValueError as error:  # its vocabulary cannot be downloaded
            raise UserError(error) from None
        return with_tokens(named, model, tokens, END_OF_TEXT[task.name], scale, step)
    if isinstance(task, Variables):
        return with_tokens(named, model, Alphabet(task), task.end, 1, step)
    raise UserError(f'{name} has no tokenizer: the model knows the symbols of its own task only; '
                    'runs of --task=tokens and --task=variables can be asked')


class Alphabet:
    """The characters of a model trained on variable assignments alone, in one form and without shots."""

    def __init__(self, task: Variables):
        self.task, self.decode = task, task.decode

    def encode(self, text: str) -> list[int]:
        if unknown := sorted(set(text) - set(self.task.alphabet[:-2])):
            raise UserError(f'the model knows problems of form={self.task.form} one at a time, not '
                            f'{unknown[0]!r}: ask {self.task.form}_depth0 and such, with --shots=0')
        return [self.task.number[character] for character in text]


def with_tokens(name: str, model, tokens, end: int, scale: int, step: int) -> Subject:
    """`tokens` has encode and decode; what the vocabulary leaves free has no text."""
    def text(token):
        try:
            return tokens.decode([token])
        except (KeyError, IndexError):
            return ''

    def encode(string):
        return list(map(int, tokens.encode(string)))

    texts = [text(token) for token in range(model.config.vocab_size)]
    return Subject(name, model, encode, tokens.decode, texts, end, scale, step)


# --- GPT-2 checkpoints of transformers

class GPT2Tokens:
    """The tokenizer that lies beside a checkpoint of transformers, with the interface of tokens.py."""

    def __init__(self, tokenizer):
        self.tokenizer, self.end = tokenizer, tokenizer.eos_token_id

    def encode(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False, verbose=False)['input_ids']

    def decode(self, tokens) -> str:
        return self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def load_gpt2(name: str, device='cpu'):
    """(model, tokens) of a GPT-2-family checkpoint: a name on the hub or a folder."""
    try:
        from transformers import AutoConfig, AutoTokenizer, GPT2LMHeadModel
        from transformers.utils import logging
    except ImportError:
        raise UserError('checkpoints of transformers need it: pip install transformers') from None
    logging.set_verbosity_error()
    try:
        kind = AutoConfig.from_pretrained(name).model_type
        theirs = GPT2LMHeadModel.from_pretrained(name) if kind == 'gpt2' else None
        tokens = GPT2Tokens(AutoTokenizer.from_pretrained(name))
    except Exception as error:  # the hub's errors are many
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f'gpt2:{name} could not be loaded: {reason}') from None
    if theirs is None:
        raise UserError(f'gpt2:{name} is a {kind}, not a GPT-2')
    return from_gpt2(theirs).to(device).eval(), tokens


def from_gpt2(theirs) -> LoopedGPT:
    """The function of a GPT2LMHeadModel: Conv1D matrices are transposed, the head is the embedding."""
    c = theirs.config
    if (c.activation_function not in ('gelu_new', 'gelu_pytorch_tanh') or c.layer_norm_epsilon != 1e-5
            or not c.tie_word_embeddings):
        raise UserError(f'a GPT-2 with {c.activation_function}, epsilon {c.layer_norm_epsilon} and '
                        f'tie_word_embeddings={c.tie_word_embeddings} is not what model.py computes')
    config = GPTConfig(c.vocab_size, c.n_positions, c.n_layer, c.n_head, c.n_embd,
                       c.n_inner or 4 * c.n_embd, positions='learned', norm='layernorm', bias=True,
                       tie_embeddings=True)
    model = LoopedGPT(config, f'{c.n_layer}x1')
    parts = {'token_embedding': theirs.transformer.wte, 'position_embedding': theirs.transformer.wpe,
             'final_norm': theirs.transformer.ln_f}
    for i, block in enumerate(theirs.transformer.h):
        own = {'norm1': block.ln_1, 'attention.qkv': block.attn.c_attn, 'attention.proj': block.attn.c_proj,
               'norm2': block.ln_2, 'feed_forward.up': block.mlp.c_fc, 'feed_forward.down': block.mlp.c_proj}
        parts |= {f'blocks.{i}.{name}': part for name, part in own.items()}
    state = {}
    for name, part in parts.items():
        turned = type(part).__name__ == 'Conv1D'
        state[f'{name}.weight'] = part.weight.T if turned else part.weight
        if getattr(part, 'bias', None) is not None:
            state[f'{name}.bias'] = part.bias
    model.load_state_dict(state | {'head.weight': theirs.transformer.wte.weight})
    return model


# --- lm-evaluation-harness

def harness_model(name: str, loops: int | None = None, checkpoint='ckpt.pt', batch_size=32, device='auto',
                  dtype='auto'):
    """A model of the harness (TemplateLM): log-likelihoods and greedy generation at `loops` loops.

    name and checkpoint: as in subject_of. UserError where the harness is not installed.
    """
    try:
        from lm_eval.api.model import TemplateLM
        from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
    except ImportError:
        raise UserError("lm-evaluation-harness is missing: pip install -e '.[harness]'") from None
    runtime = start(device, dtype, 'False')
    subject = subject_of(name, checkpoint, runtime.device)
    runtime.for_inference(subject.model)

    class Looped(TemplateLM):
        eot_token_id = subject.end
        max_length = subject.model.config.block_size

        def tok_encode(self, string, add_special_tokens=None, **_):
            return subject.encode(string)

        def _loglikelihood_tokens(self, requests, **_):
            return loglikelihoods(subject, [request[1:] for request in requests], loops, batch_size, runtime)

        def loglikelihood_rolling(self, requests, disable_tqdm=False):
            out = []
            for request in requests:
                windows = get_rolling_token_windows(self.tok_encode(request.args[0]), self.eot_token_id,
                                                    self.max_length, 1)
                pairs = [make_disjoint_window(window) for window in windows]
                out.append(sum(score for score, _ in
                               loglikelihoods(subject, pairs, loops, batch_size, runtime)))
            return out

        def generate_until(self, requests, disable_tqdm=False):
            return generations(subject, [request.args for request in requests], loops, batch_size, runtime)

    return Looped()


@torch.inference_mode()
def loglikelihoods(subject: Subject, pairs: list, loops, batch_size: int, runtime) -> list[tuple]:
    """(log-likelihood, whether greedy) of each continuation after its context; pairs of their tokens.

    Rows are filled up at their ends, which causal attention never sees.
    """
    out, size, device = [None] * len(pairs), subject.model.config.block_size, runtime.device
    rows = [Prompt(i, (context + more)[-size - 1:]) for i, (context, more) in enumerate(pairs)]
    for batch in batches(rows, batch_size):
        longest = max(len(row.tokens) for row in batch)
        filled = [row.tokens + [0] * (longest - len(row.tokens)) for row in batch]
        tokens = torch.tensor(filled, device=device)
        with runtime.autocast():
            logits = subject.model(tokens[:, :-1], n_loops=loops).float()
        for own, row in zip(logits, batch, strict=True):
            n = min(len(pairs[row.number][1]), len(row.tokens) - 1)
            own, wanted = own[len(row.tokens) - 1 - n:len(row.tokens) - 1], torch.tensor(row.tokens[-n:])
            wanted = wanted.to(device)
            chosen = own.log_softmax(-1).gather(1, wanted[:, None]).sum()
            out[row.number] = chosen.item(), bool((own.argmax(-1) == wanted).all())
    return out


def generations(subject: Subject, asked: list, loops, batch_size: int, runtime) -> list[str]:
    """Greedy continuations of (context, options) up to the first of options['until'].

    max_gen_toks, 256 by default, takes half of the model's context at most: the rest is the prompt's.
    """
    out, size = [''] * len(asked), subject.model.config.block_size
    kinds = {}
    for i, (context, options) in enumerate(asked):
        if options.get('do_sample') and options.get('temperature', 0) > 0:
            raise UserError('the harness asks for samples; this adapter decodes greedily')
        until = options.get('until') or []
        until = (until,) if isinstance(until, str) else tuple(until)
        n_new = min(options.get('max_gen_toks', 256), size // 2)
        kinds.setdefault((until, n_new), []).append(
            Prompt(i, subject.encode(context)[-(size - n_new + 1):]))
    for (until, n_new), prompts in kinds.items():
        stops = subject.stops(until)
        for batch in batches(prompts, batch_size):
            with torch.inference_mode(), runtime.autocast():
                prefix = Prefix(subject.model, [], loops)
                rows = answer_batch(prefix, [prompt.tokens for prompt in batch], n_new, stops)
            for prompt, row in zip(batch, rows, strict=True):
                text = subject.decode(row)
                ends = [text.index(string) for string in until if string in text]
                out[prompt.number] = text[:min(ends, default=len(text))]
    return out
