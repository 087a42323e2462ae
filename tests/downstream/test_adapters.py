"""GPT-2 checkpoints against transformers itself; what the harness asks for against brute force."""
import json
import shutil

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
from peers.inference import save_random_gpt2
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


def changed(folder, tmp_path, **fields):
    """A copy of a checkpoint whose configuration has other fields."""
    copy = shutil.copytree(folder, tmp_path / 'changed')
    config = json.loads((copy / 'config.json').read_text(encoding='utf-8')) | fields
    (copy / 'config.json').write_text(json.dumps(config), encoding='utf-8')
    return str(copy)


@pytest.mark.parametrize('fields', [
    dict(scale_attn_weights=False), dict(scale_attn_by_inverse_layer_idx=True),
    dict(scale_attn_weights=False, scale_attn_by_inverse_layer_idx=True), dict(reorder_and_upcast_attn=True),
    dict(activation_function='gelu_pytorch_tanh'), dict(tie_word_embeddings=False), dict(n_inner=40),
    dict(n_head=4), dict(n_positions=50), dict(n_ctx=600, gradient_checkpointing=False, summary_type='mean')])
def test_fields_of_a_gpt2s_configuration_that_are_computed(fields, gpt2, tmp_path):
    """Against transformers' eager attention: its other kernels pass over the fields of attention."""
    transformers = pytest.importorskip('transformers')
    folder = gpt2[0]
    config = transformers.GPT2Config.from_pretrained(folder, **fields)
    torch.manual_seed(1)
    theirs = transformers.GPT2LMHeadModel._from_config(config, attn_implementation='eager').eval()
    for parameter in theirs.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    copy = shutil.copytree(folder, tmp_path / 'copy')
    theirs.save_pretrained(copy)
    model, _ = adapters.load_gpt2(str(copy))
    tokens = torch.randint(257, (3, 40))
    with torch.inference_mode():
        expected = theirs(tokens).logits
        torch.testing.assert_close(model(tokens), expected, rtol=1e-4, atol=1e-3)
        if 'scale' in str(fields):  # the fields make a difference
            plain = transformers.GPT2LMHeadModel.from_pretrained(copy, attn_implementation='eager')
            for block in plain.transformer.h:
                block.attn.scale_attn_weights, block.attn.scale_attn_by_inverse_layer_idx = True, False
            assert (plain.eval()(tokens).logits - expected).abs().max() > 0.5


def test_a_checkpoint_in_the_form_of_openais_is_taken(gpt2, tmp_path):
    """Names without a prefix, masks among the weights, a configuration of older versions and of use."""
    safetensors = pytest.importorskip('safetensors.torch')
    folder, theirs = gpt2
    copy = changed(folder, tmp_path, n_ctx=600, _num_labels=1, max_length=1000, use_cache=False,
                   id2label={'0': 'LABEL_0'}, label2id={'LABEL_0': 0}, gradient_checkpointing=False,
                   task_specific_params={'text-generation': {'do_sample': True, 'max_length': 50}},
                   torch_dtype='float32', pad_token_id=5, resid_pdrop=0.3, output_past=True)
    weights = safetensors.load_file(f'{copy}/model.safetensors')
    weights = {name.removeprefix('transformer.'): weight for name, weight in weights.items()}
    for i in range(3):
        weights[f'h.{i}.attn.bias'] = torch.ones(600, 600).tril().view(1, 1, 600, 600)
        weights[f'h.{i}.attn.masked_bias'] = torch.tensor(-1e4)
    safetensors.save_file(weights, f'{copy}/model.safetensors', metadata=dict(format='pt'))
    model, _ = adapters.load_gpt2(copy)
    tokens = torch.randint(257, (2, 30))
    with torch.inference_mode():
        torch.testing.assert_close(model(tokens), theirs(tokens).logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('fields', [
    dict(activation_function='relu'), dict(activation_function='gelu'), dict(layer_norm_epsilon=1e-6),
    dict(add_cross_attention=True), dict(is_encoder_decoder=True), dict(alibi=True), dict(rotary_dim=8),
    dict(auto_map={'AutoModel': 'modeling.Model'}), dict(multi_query=True), dict(attention_window=[4, 4, 4])])
def test_fields_of_a_gpt2s_configuration_that_are_refused(fields, gpt2, tmp_path):
    pytest.importorskip('transformers')
    field, = fields
    with pytest.raises(UserError, match=f'a GPT-2 with {field}=.* is not what model.py computes') as error:
        adapters.load_gpt2(changed(gpt2[0], tmp_path, **fields))
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('fields,says', [
    (dict(n_layer=4), 'missing_keys: transformer.h.3.attn.c_attn.bias'),  # transformers draws the fourth
    (dict(n_layer=2), 'unexpected_keys: transformer.h.2.attn.c_attn.bias'),
    (dict(n_embd=30), 'could not be loaded'), (dict(n_head=5), 'could not be loaded'),
    (dict(model_type='bert'), 'not a GPT-2|could not be loaded')])
def test_weights_that_do_not_fit_their_configuration_are_refused(fields, says, gpt2, tmp_path):
    pytest.importorskip('transformers')
    with pytest.raises(UserError, match=says) as error:
        adapters.load_gpt2(changed(gpt2[0], tmp_path, **fields))
    assert '\n' not in str(error.value)


def test_a_tokenizer_that_does_not_fit_its_model_is_one_line(gpt2, tmp_path):
    """Of more tokens than the model has, or without an end; a folder in the home folder is found."""
    transformers = pytest.importorskip('transformers')
    config = transformers.GPT2Config.from_pretrained(gpt2[0], vocab_size=100, eos_token_id=5)
    copy = shutil.copytree(gpt2[0], tmp_path / 'small')
    transformers.GPT2LMHeadModel(config).save_pretrained(copy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('HOME', str(tmp_path))
        with pytest.raises(UserError, match='small has 100 tokens, but its tokenizer says'):
            adapters.load_language_model('gpt2:~/small').encode('Zürich')
    tokenizer = transformers.AutoTokenizer.from_pretrained(gpt2[0])
    tokenizer.eos_token = None
    copy = shutil.copytree(gpt2[0], tmp_path / 'endless')
    tokenizer.save_pretrained(copy)
    with pytest.raises(UserError, match='no token for the end of a text'):
        adapters.load_gpt2(str(copy))


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
    for options in dict(do_sample=True, temperature=1.0), dict(num_beams=4), dict(repetition_penalty=1.3):
        with pytest.raises(UserError, match='greedily'):
            adapters.generations(lm, [('a', options)], None, 4, None)


def test_an_empty_context_is_the_end_of_a_text(trained):
    """Log-likelihoods and generations; an empty continuation, empty stops, no tokens at all."""
    lm, runtime = adapters.load_language_model(trained), start('cpu', 'float32', 'False')
    text = lm.encode('abc')
    got = adapters.loglikelihoods(lm, [([], text), ([lm.end], text), ([], []), (text, []), ([], text[:1])],
                                  None, 2, runtime)
    assert got[0] == pytest.approx(got[1]) and got[2] == got[3] == (0.0, True)
    with torch.inference_mode():
        logits = lm.model(torch.tensor([[lm.end]]))[0, -1].log_softmax(-1)
    assert got[4][0] == pytest.approx(logits[text[0]].item(), abs=1e-4) and got[0][0] < got[4][0]
    requests = [('', dict(until=['', None], max_gen_toks=5)), ('', dict(until=[], max_new_tokens=5)),
                ('', dict(until='', max_gen_toks=5)), ('x', dict(max_gen_toks=0))]
    answers = adapters.generations(lm, requests, None, 2, runtime)
    prefix = adapters.Prefix(lm.model, [])
    expected, = adapters.answer_batch(prefix, [[lm.end]], 5, lm.stops(()))
    assert answers == [lm.decode(expected)] * 3 + [''] and len(expected) > 1


def test_what_the_context_does_not_hold_is_counted(trained, capsys):
    """The note says how many lose their beginning; a continuation is scored whole or not at all."""
    lm, runtime = adapters.load_language_model(trained), start('cpu', 'float32', 'False')
    size = LM['block_size']
    long, short = lm.encode('x' * (size + 1)), lm.encode('x' * 9)
    adapters.loglikelihoods(lm, [(long, short), (short, short), (long[:-9], short)], None, 4, runtime)
    assert '1 of 3 prompts are longer than the context' in capsys.readouterr().err
    adapters.loglikelihoods(lm, [([], long[1:]), (short, short)], None, 4, runtime)
    assert capsys.readouterr().err == ''
    with pytest.raises(UserError, match=f'a continuation of {size + 1} tokens does not fit a context'):
        adapters.loglikelihoods(lm, [([], long)], None, 4, runtime)
    adapters.generations(lm, [('x' * size, dict(max_gen_toks=2)), ('x', {})], None, 4, runtime)
    assert '1 of 1 prompts' in capsys.readouterr().err


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
    assert isinstance(request('generate_until', '', dict(until=['\n'], max_gen_toks=5)), str)
    assert request('loglikelihood_rolling', '') == 0
    assert request('loglikelihood', '', '') == request('loglikelihood', 'x', '') == (0.0, True)
    for context, continuation in (('', ' abc'), (' ', 'abc'), ('\n', 'abc'), ('  ', '')):
        pair = [lm.end], lm.encode(context + continuation)
        expected, _ = adapters.loglikelihoods(lm, [pair], 3, 1, runtime)[0]
        assert request('loglikelihood', context, continuation)[0] == pytest.approx(expected, abs=1e-4)


def test_stop_tokens_are_newlines_and_the_end(trained):
    lm = adapters.load_language_model(trained)
    assert torch.nonzero(lm.stops(('\n',))).flatten().tolist() == [10, 256]
