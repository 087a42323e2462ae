"""GPT-2 checkpoints against transformers itself; what the harness asks for against brute force."""
import json

import pytest
import torch
from records import LM

import eval_downstream
from downstream import adapters
from downstream.fewshot import load_task, prompt_of
from engine.configurator import configure
from engine.errors import UserError
from engine.runtime import start
from eval_downstream import DownstreamConfig
from peers.models import save_random_gpt2
from problems.text import Bytes


@pytest.fixture(scope='module')
def gpt2(tmp_path_factory):
    """A small GPT-2 with random weights and a tokenizer of bytes, as transformers saves them."""
    transformers = pytest.importorskip('transformers')
    folder = str(tmp_path_factory.mktemp('gpt2'))
    save_random_gpt2(folder, n_positions=600, n_embd=24, n_layer=3, n_head=2, initializer_range=0.2)
    theirs = transformers.GPT2LMHeadModel.from_pretrained(folder).eval()
    for parameter in theirs.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)  # biases too
    theirs.save_pretrained(folder)
    return folder, theirs


def test_a_gpt2_checkpoint_computes_what_transformers_computes(gpt2):
    folder, theirs = gpt2
    model, tokenizer = adapters.load_gpt2(folder)
    ids = torch.tensor([tokenizer.encode('The first mill was built by Ada Grey.\n')])
    with torch.inference_mode():
        torch.testing.assert_close(model(ids), theirs(ids).logits, rtol=1e-4, atol=1e-4)
    assert tokenizer.decode(ids[0].tolist()) == 'The first mill was built by Ada Grey.\n'
    assert tokenizer.decode([256]) == '' and adapters.load_language_model(f'gpt2:{folder}').end == 256


def test_a_gpt2_checkpoint_answers_as_transformers_generates(gpt2, data, tmp_path):
    """Greedy answers of the whole evaluator, prompts of a task with shots, against generate()."""
    folder, theirs = gpt2
    config, words = configure(DownstreamConfig, [
        f'gpt2:{folder}', f'--out_dir={tmp_path}', f'--data_dir={data}', '--tasks=web_questions',
        '--device=cpu', '--dtype=float32', '--max_new_tokens=12'], '', positional='words')
    eval_downstream.main(config, words)
    path, = tmp_path.glob('downstream/*.jsonl')
    lines = [json.loads(line) for line in path.read_text(encoding='utf-8').splitlines()[1:]]
    loaded = load_task('web_questions', 5, 0, data)
    tokenizer = adapters.load_gpt2(folder)[1]
    for line, item in zip(lines, loaded.items, strict=True):
        ids = torch.tensor([tokenizer.encode(prompt_of(item, loaded.shots))])
        out = theirs.generate(ids, do_sample=False, max_new_tokens=12, pad_token_id=0, eos_token_id=256,
                              attention_mask=torch.ones_like(ids))
        assert line['answer'] == tokenizer.decode(out[0, ids.size(1):].tolist()).split('\n')[0].strip()


def test_a_checkpoint_that_is_not_there_is_one_line(tmp_path):
    pytest.importorskip('transformers')
    with pytest.raises(UserError, match='could not be loaded') as error:
        adapters.load_gpt2(str(tmp_path / 'none'))
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('loops', [None, 1, 3])
def test_loglikelihoods_by_brute_force(trained, loops):
    """Sum over the continuation of log p(token | all before); whether each is the argmax."""
    lm = adapters.load_language_model(trained)
    texts = [('The first', ' mill'), ('Ada', ' Grey and more'), ('Q', '?'), ('x' * 700, 'abc')]
    pairs = [(lm.encode(a), lm.encode(b)) for a, b in texts]
    with torch.inference_mode():
        greedy = lm.model(torch.tensor([pairs[2][0]]), n_loops=loops)[0, -1].argmax().item()
        pairs.append((pairs[2][0], [greedy]))
        got = adapters.loglikelihoods(lm, pairs, loops, 2, start('cpu', 'float32', 'False'))
        for (context, continuation), (score, is_greedy) in zip(pairs, got, strict=True):
            expected, all_greedy = 0.0, True
            for i, token in enumerate(continuation):
                row = (context + continuation[:i])[-LM['block_size'] + len(continuation) - 1 - i:]
                logits = lm.model(torch.tensor([row]), n_loops=loops)[0, -1]
                expected += logits.log_softmax(-1)[token].item()
                all_greedy &= logits.argmax().item() == token
            assert score == pytest.approx(expected, abs=1e-3) and is_greedy == all_greedy
    assert got[-1][1]


def test_generations_stop_at_the_first_of_the_strings(trained, monkeypatch):
    lm = adapters.load_language_model(trained)
    monkeypatch.setattr(adapters, 'answer_batch', lambda prefix, rows, n_new, stops: [
        lm.encode('two. Three\nfour')[:n_new] for _ in rows])
    requests = [('a', dict(until=['\n'])), ('bb', dict(until=['Th', '.'])),
                ('d', dict(until=['.', 'Th'])), ('c', dict(until='zz', max_gen_toks=3))]
    got = adapters.generations(lm, requests, None, 4, start('cpu', 'float32', 'False'))
    assert got == ['two. Three', 'two', 'two', 'two']
    with pytest.raises(UserError, match='greedily'):
        adapters.generations(lm, [('a', dict(do_sample=True, temperature=1.0))], None, 4, None)


def test_the_harness_takes_the_model(trained):
    """Its three kinds of requests, where it is installed."""
    pytest.importorskip('lm_eval')
    from lm_eval.api.instance import Instance
    lm, runtime = adapters.load_language_model(trained), start('cpu', 'float32', 'False')
    model = adapters.harness_model(trained, loops=3, device='cpu', dtype='float32')

    def request(kind, *arguments):
        return getattr(model, kind)([Instance(kind, {}, arguments, 0)])[0]
    score, _ = request('loglikelihood', 'The first', ' mill')
    pair = lm.encode('The first'), lm.encode(' mill')
    expected, _ = adapters.loglikelihoods(lm, [pair], 3, 1, runtime)[0]
    assert score == pytest.approx(expected, abs=1e-4)
    text = 'The first mill was built. ' * 40  # two windows of the model's context
    rolling, tokens = request('loglikelihood_rolling', text), Bytes().encode(text)
    assert rolling < 0 and len(tokens) > LM['block_size']
    assert isinstance(request('generate_until', 'The first', dict(until=['\n'], max_gen_toks=5)), str)


def test_stop_tokens_are_newlines_and_the_end(trained):
    lm = adapters.load_language_model(trained)
    assert torch.nonzero(lm.stops(('\n',))).flatten().tolist() == [10, 256]
