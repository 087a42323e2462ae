"""Models with their tokenizers, for evaluation in text: our runs, and GPT-2 checkpoints of transformers.

Checkpoints of transformers let the evaluators be checked against published numbers. The other way round,
lm-evaluation-harness, an optional extra (pip install -e '.[harness]'), evaluates a run at any loop count:

    lm_eval.simple_evaluate(adapters.harness_model('out/pile_12x2', loops=2), tasks=['lambada_openai'])
"""
import hashlib
import os
import sys
from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

import torch

from downstream.decoding import Prefix, Prompt, answer_batch, batches
from engine.checkpoint import load_model
from engine.errors import UserError, first_line
from engine.runtime import start
from looped import LoopedGPT
from problems.text import END_OF_TEXT
from problems.variables import Variables
from stages import ModelConfig

CHARACTERS_PER_TOKEN = 4  # of GPT-2, about: how much longer an answer may be where tokens are characters

# Fields of a GPT-2's configuration that from_gpt2 reads, and others that leave the logits of a text alone.
KNOWN = ('vocab_size n_positions n_embd n_layer n_head n_inner tie_word_embeddings scale_attn_weights '
         'scale_attn_by_inverse_layer_idx '
         'attn_pdrop embd_pdrop resid_pdrop initializer_range use_cache n_ctx reorder_and_upcast_attn '
         'summary_type summary_use_proj summary_activation summary_proj_to_labels summary_first_dropout '
         'gradient_checkpointing output_past loss_type _num_labels').split()
HARMFUL = {'add_cross_attention', 'is_encoder_decoder', 'pruned_heads'}  # of those that all models have
SAME_GELU = ('activation_function', 'gelu_pytorch_tanh')  # another name of the default, gelu_new
GREEDY = {'until', 'max_gen_toks', 'max_new_tokens', 'do_sample', 'temperature', 'top_p', 'top_k'}


class LanguageModel(NamedTuple):
    name: str
    model: LoopedGPT
    encode: Callable  # text -> list of tokens
    decode: Callable  # tokens -> text
    texts: list       # (V,) the text of each token
    end: int          # the token at the end of a text
    scale: int        # tokens for one of GPT-2's, about
    step: int         # of training
    weights: str = ''  # a hash of them

    def stops(self, strings):
        """(V,) bool: the tokens that hold one of the strings, or end the text."""
        found = [any(string in text for string in strings) for text in self.texts]
        found[self.end] = True
        return torch.tensor(found, device=self.model.head.weight.device)


def load_language_model(name: str, checkpoint: str = 'best.pt', device='cpu') -> LanguageModel:
    """The model in the folder of a run, or of 'gpt2:' and a name or folder of transformers."""
    if name.startswith('gpt2:'):
        model, tokenizer = load_gpt2(name.removeprefix('gpt2:'), device)
        return with_tokenizer(name, model, tokenizer, tokenizer.end, scale=1, step=0)

    model, task, step, _ = load_model(name, device, checkpoint)  # without the configuration
    path = f'{name}/{checkpoint}'
    if isinstance(task, Variables):
        return with_tokenizer(path, model, Alphabet(task, task.decode), task.end, scale=1, step=step)
    if not task.per_token:
        raise UserError(f'{name} has no tokenizer: the model knows the symbols of its own task only; '
                        'runs of --task=tokens and --task=variables can be evaluated')
    scale = 1 if task.tokenizer == 'gpt2' else CHARACTERS_PER_TOKEN
    return with_tokenizer(path, model, task.codec, END_OF_TEXT[task.tokenizer], scale, step)


def with_tokenizer(name, model, tokenizer, end, scale, step) -> LanguageModel:
    """`tokenizer` has encode and decode; numbers of the vocabulary that it does not use have no text."""
    texts = []  # of each token alone
    for token in range(model.config.vocab_size):
        try:
            texts.append(tokenizer.decode([token]))
        except (KeyError, IndexError):
            texts.append('')

    def encode(text):
        tokens = list(map(int, tokenizer.encode(text)))
        if max(tokens, default=0) >= len(texts):
            raise UserError(f'{name} has {len(texts)} tokens, but its tokenizer says {max(tokens)}')
        return tokens

    # 64 weights of every tensor: a step of training changes them, the device does not.
    digest = hashlib.sha256()
    for parameter in model.parameters():
        some = parameter.detach().flatten()[::max(1, parameter.numel() // 64)]
        digest.update(some.float().cpu().numpy().tobytes())
    return LanguageModel(name, model, encode, tokenizer.decode, texts, end, scale, step, digest.hexdigest())


class Alphabet(NamedTuple):
    """The tokenizer of a model trained on variable assignments alone, in one form and without shots."""
    task: Variables
    decode: Callable

    def encode(self, text):
        form = self.task.form
        tokens = list(map(self.task.number.get, text))
        for character, token in zip(text, tokens, strict=True):
            if token in (None, self.task.end, self.task.pad):
                raise UserError(f'the model knows problems of form={form} one at a time, not {character!r}: '
                                f'evaluate it on tasks such as {form}_depth0, with --shots=0')
        return tokens


# --- GPT-2 checkpoints of transformers

class GPT2Tokenizer(NamedTuple):
    """The tokenizer beside a checkpoint of transformers, with the interface of problems/text.py."""
    tokenizer: object
    end: int

    def encode(self, text):
        return self.tokenizer(text, add_special_tokens=False, verbose=False)['input_ids']

    def decode(self, tokens):
        return self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def load_gpt2(name: str, device='cpu'):
    """(model, tokenizer) of a GPT-2-family checkpoint: a name on the hub or a folder."""
    try:
        from transformers import AutoConfig, AutoTokenizer, GPT2LMHeadModel
        from transformers.utils import logging
    except ImportError:
        raise UserError('checkpoints of transformers need it: pip install transformers') from None
    logging.set_verbosity_error()

    name = os.path.expanduser(name)
    try:
        config = AutoConfig.from_pretrained(name)
        if config.model_type == 'gpt2':
            theirs, loaded = GPT2LMHeadModel.from_pretrained(name, output_loading_info=True)
        tokenizer = AutoTokenizer.from_pretrained(name)
    except Exception as error:  # the hub's errors are many
        raise UserError(f'gpt2:{name} could not be loaded: {first_line(error)}') from None

    if config.model_type != 'gpt2':
        raise UserError(f'gpt2:{name} is a {config.model_type}, not a GPT-2')
    refuse_other_functions(config)
    for key in ('missing_keys', 'unexpected_keys'):  # transformers draws the former, passes over the latter
        if loaded[key]:
            raise UserError(f'gpt2:{name} and its configuration differ, {key}: {min(loaded[key])}')
    if tokenizer.eos_token_id is None:
        raise UserError(f'gpt2:{name} has no token for the end of a text (eos_token)')
    return from_gpt2(theirs).to(device).eval(), GPT2Tokenizer(tokenizer, tokenizer.eos_token_id)


def refuse_other_functions(config):
    """UserError that names a field of a GPT-2's configuration which from_gpt2 would pass over."""
    from transformers import PretrainedConfig
    defaults = type(config)().to_dict()
    known = {*KNOWN, *PretrainedConfig().to_dict()} - HARMFUL
    for field, value in config.to_dict().items():
        is_default = field in defaults and value == defaults[field]
        if field not in known and not is_default and (field, value) != SAME_GELU:
            raise UserError(f'a GPT-2 with {field}={value!r} is not what model.py computes')


def from_gpt2(theirs):
    """A LoopedGPT that computes what a GPT2LMHeadModel computes."""
    c = theirs.config
    model = LoopedGPT(ModelConfig(
        stages=f'{c.n_layer}x1', vocab_size=c.vocab_size, block_size=c.n_positions, n_embd=c.n_embd,
        n_head=c.n_head, n_ff=c.n_inner or 0,  # both have 4 * n_embd where it is not given
        positions='learned', norm='layernorm', bias=True, tie_embeddings=c.tie_word_embeddings))

    body = theirs.transformer
    parts = {model.token_embedding: body.wte, model.position_embedding: body.wpe,
             model.final_norm: body.ln_f, model.head: theirs.lm_head}
    for block, other in zip(model.blocks, body.h, strict=True):
        parts[block.norm1] = other.ln_1
        parts[block.attention.qkv] = other.attn.c_attn
        parts[block.attention.proj] = other.attn.c_proj
        parts[block.norm2] = other.ln_2
        parts[block.feed_forward.up] = other.mlp.c_fc
        parts[block.feed_forward.down] = other.mlp.c_proj
    for part, other in parts.items():
        for name, value in other.named_parameters():
            is_transposed = type(other).__name__ == 'Conv1D' and name == 'weight'
            part.get_parameter(name).data.copy_(value.T if is_transposed else value)

    for number, block in enumerate(model.blocks, start=1):  # the scale of their attention goes into queries
        factor = 1.0 if c.scale_attn_weights else (c.n_embd // c.n_head) ** 0.5
        if c.scale_attn_by_inverse_layer_idx:
            factor /= number
        for parameter in block.attention.qkv.parameters():
            parameter.data[:c.n_embd] *= factor
    return model


# --- lm-evaluation-harness

def harness_model(name: str, loops: int | None = None, checkpoint='best.pt', batch_size=32, device='auto',
                  dtype='auto'):
    """A model of the harness (TemplateLM): log-likelihoods and greedy generation at `loops` loops."""
    try:
        from lm_eval.api.model import TemplateLM
        from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
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
            tokens = lm.encode(string)
            if add_special_tokens is False and not tokens:
                return [lm.end]  # TemplateLM needs one where context and continuation are both empty
            return tokens

        def _loglikelihood_tokens(self, requests, **_):
            return loglikelihoods(lm, [request[1:] for request in requests], *settings)

        def loglikelihood_rolling(self, requests, disable_tqdm=False):
            scores = []
            for request in requests:
                windows = get_rolling_token_windows(lm.encode(request.args[0]), lm.end, self.max_length, 1)
                pairs = list(map(make_disjoint_window, windows))  # every token is scored once
                scores.append(sum(score for score, _ in loglikelihoods(lm, pairs, *settings)))
            return scores

        def generate_until(self, requests, disable_tqdm=False):
            return generations(lm, [request.args for request in requests], *settings)

    return HarnessModel()


@torch.inference_mode()
def loglikelihoods(lm, pairs, loops, batch_size, runtime):
    """(log-likelihood, whether greedy) of each continuation after its context; pairs of their tokens.
    An empty context is the end of another text, a long one loses its beginning."""
    size = lm.model.config.block_size
    rows = []
    for context, continuation in pairs:
        if len(continuation) > size:
            raise UserError(f'a continuation of {len(continuation)} tokens does not fit a context of {size}')
        rows.append((context or [lm.end]) + continuation)

    results = [(0.0, True)] * len(pairs)  # of an empty continuation
    prompts = [prompt for prompt in fitted(rows, size + 1) if pairs[prompt.number][1]]
    for batch in batches(prompts, batch_size):
        # Rows are filled up at their ends, which causal attention never sees.
        longest = len(batch[0].tokens)
        filled = [prompt.tokens + [0] * (longest - len(prompt.tokens)) for prompt in batch]
        tokens = torch.tensor(filled, device=runtime.device)  # (B, T + 1)
        with runtime.autocast():
            logits = lm.model(tokens[:, :-1], n_loops=loops).float()  # (B, T, V)

        for i, prompt in enumerate(batch):
            last = len(prompt.tokens) - 1
            first = last - len(pairs[prompt.number][1])  # n tokens of the continuation before
            predictions = logits[i, first:last]  # (n, V)
            targets = tokens[i, first + 1:last + 1]  # (n,)
            score = predictions.log_softmax(-1).gather(1, targets[:, None]).sum()
            results[prompt.number] = (score.item(), (predictions.argmax(-1) == targets).all().item())
    return results


def fitted(rows, room):
    """Prompts of rows of tokens; those that are longer than `room` are counted, and lose their beginning."""
    n_cut = sum(len(row) > room for row in rows)
    if n_cut:
        print(f'{n_cut} of {len(rows)} prompts are longer than the context that the model was trained on '
              'and lose their beginning', file=sys.stderr)
    return [Prompt(number, row[-room:]) for number, row in enumerate(rows)]


def generations(lm, requests, loops, batch_size, runtime):
    """Greedy continuations of (context, options) up to the first of options['until'].
    max_gen_toks, 256 by default, takes half of the model's context at most: the rest is the prompt's."""
    # Requests with the same stops and length are answered together.
    size = lm.model.config.block_size
    groups = defaultdict(list)  # (until, n_new): numbers of requests
    for number, (_, options) in enumerate(requests):
        refused = sorted(options.keys() - GREEDY)
        if options.get('do_sample') and options.get('temperature', 0) > 0:
            refused = ['samples']
        if refused:
            raise UserError(f'the harness asks for {refused[0]}; this adapter decodes greedily')
        until = options.get('until') or ()
        until = (until,) if isinstance(until, str) else tuple(filter(None, until))
        n_new = options.get('max_gen_toks', options.get('max_new_tokens', 256))
        groups[until, min(n_new, size // 2)].append(number)

    texts = [''] * len(requests)
    for (until, n_new), numbers in groups.items():
        if n_new < 1:
            continue
        rows = [lm.encode(requests[number][0]) or [lm.end] for number in numbers]
        stops = lm.stops(until)
        for batch in batches(fitted(rows, size - n_new + 1), batch_size):  # the last new token is never read
            rows = [prompt.tokens for prompt in batch]
            with torch.inference_mode(), runtime.autocast():
                answers = answer_batch(Prefix(lm.model, [], loops), rows, n_new, stops)
            for prompt, answer in zip(batch, answers, strict=True):
                text = lm.decode(answer)
                starts = [text.index(stop) for stop in until if stop in text]
                texts[numbers[prompt.number]] = text[:min(starts, default=None)]
    return texts
