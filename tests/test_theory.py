"""Constructions against brute force written from the definitions, lemmas alone, and the table as a whole."""
import csv
import itertools

import pytest
import torch

import plot
import theory
from engine.configurator import UserError
from looped import LoopedGPT
from model import GPTConfig
from problems import rasp
from problems.lengths import LENGTH_TASKS
from proofs.constructions import group_composition, p_hop, simulate, think
from proofs.lemmas import (
    MARGIN,
    PLACES_MAX,
    SHARP,
    Heads,
    Neurons,
    Stream,
    argmax,
    assemble,
    codes,
    gate,
    places,
    shift,
)
from proofs.rasp_models import PROGRAMS
from tasks import group_table


def run_layers(layers, s, x):
    """States x (B, T, size) through layers of their own."""
    model = assemble(layers, s.rows(), s.rows(), s.rows(), 2)
    with torch.inference_mode():
        return model.run_blocks(model.blocks, x, None)


def state(s, batch, length, **parts):
    """(batch, length, size) of the named coordinates, (batch, length, k) or what broadcasts to it."""
    x = torch.zeros(batch, length, s.size)
    for name, part in parts.items():
        x[..., s.slices[name]] = torch.as_tensor(part, dtype=torch.float32)
    return x


# --- lemmas

@pytest.mark.parametrize('V', [2, 5, 13])
def test_lemmas_b2_and_b3_argmax_decode_and_embed(V):
    s = Stream(x=6, gaps=V, one_hot=V, embedded=4)
    scores, embedding, x = torch.randn(V, 6), torch.randn(V, 4), 10 * torch.randn(1, 400, 6)
    layers = [(Heads(), Neurons(s)) for _ in range(2)]
    out = s.rows(one_hot=torch.eye(V), embedded=embedding)
    argmax(layers[0][1], layers[1][1], s.rows(x=scores), 'gaps', out)
    y = run_layers(layers, s, state(s, 1, 400, x=x))
    best = (x @ scores.T).argmax(-1)
    assert torch.equal(y[..., s.slices['one_hot']], torch.nn.functional.one_hot(best, V).float())
    assert torch.equal(y[..., s.slices['embedded']], embedding[best])
    assert torch.equal(y[..., s.slices['x']], x) and not y[..., s.slices['gaps']].any()
    assert layers[0][1].count() == V * (V - 1) and layers[1][1].count() == 2 * V


def test_lemma_b2_needs_a_lead_of_two_to_minus_p():
    s = Stream(x=2, gaps=2, out=2)
    layers = [(Heads(), Neurons(s)) for _ in range(2)]
    argmax(layers[0][1], layers[1][1], s.eye('x'), 'gaps', s.eye('out'), precision=10)
    for lead, exact in ((2.0 ** -10, True), (2.0 ** -11, False)):
        y = run_layers(layers, s, state(s, 1, 1, x=torch.tensor([1 + lead, 1])))
        assert (y[0, 0, s.slices['out']].tolist() == [1, 0]) == exact


def test_lemma_b4_control_gate_loses_no_bit():
    s = Stream(x=3, y=3, on=1, off=1, out=3)
    neurons = Neurons(s)
    gate(neurons, 'on', 'off', s.eye('x'), s.eye('y'), s.eye('out'))
    x, y = torch.randn(2, 50, 1, 3) * 10.0 ** torch.randint(-6, 12, (2, 50, 1, 1))
    for m in (0, 1):
        z = run_layers([(Heads(), neurons)], s, state(s, 50, 1, x=x, y=y, on=m, off=1 - m))
        assert torch.equal(z[..., s.slices['out']], x if m else y)


@pytest.mark.parametrize('size_max', [0, 2])
def test_lemma_b5_shift(size_max):
    s = Stream(a=5, b=5, one=1, place=1, square=1)
    heads, a = Heads(), torch.randn(3, 40, 5)
    shift(heads, s, s.eye('a'), s.eye('b'), size_max)
    y = run_layers([(heads, Neurons(s))], s, state(s, 3, 40, a=a, **places(40)))
    assert torch.equal(y[..., s.slices['b']], torch.cat([a[:, :1], a[:, :-1]], 1))
    assert len(heads.parts) == (3 if size_max else 1)


def test_look_ups_are_exact_at_every_position_up_to_the_limit():
    n, s = PLACES_MAX, Stream(f=1, a=1, b=1, one=1, place=1, square=1)
    heads = Heads()
    heads.look_up(s, s.eye('f'), s.eye('a'), s.eye('b'))
    f = torch.stack([(torch.rand(n) * torch.arange(1, n + 1)).floor() for _ in range(4)])[..., None]
    f[0], f[1] = torch.arange(n)[:, None], (torch.arange(n)[:, None] - 1).clamp(min=0)
    a = torch.randn(4, n, 1)
    y = run_layers([(heads, Neurons(s))], s, state(s, 4, n, f=f, a=a, **places(n)))
    assert torch.equal(y[..., s.slices['b']], a.gather(1, f.long()))
    with pytest.raises(ValueError, match='exact'):
        places(n + 1)


def test_a_key_behind_by_the_margin_weighs_nothing():
    weights = torch.tensor([[0.0, -MARGIN, -2 * SHARP]]).softmax(-1)
    assert weights.tolist() == [[1, 0, 0]] and torch.tensor([0.0, 2 - MARGIN]).softmax(-1)[1] > 0


def test_a_schedule_changes_what_it_says_at_each_count():
    s, changes = Stream(l=1, out=3), torch.randint(-3, 4, (7, 3))
    neurons = Neurons(s)
    neurons.schedule('l', changes, 'out')
    y = run_layers([(Heads(), neurons)], s, state(s, 1, 7, l=torch.arange(1, 8)[:, None]))
    assert torch.equal(y[0, :, s.slices['out']], changes.float()) and neurons.count() == 7 + 2


def test_codes_tell_numbers_apart():
    code = codes(100, 7)
    assert torch.equal((code @ code.T == 7), torch.eye(100).bool()) and code.abs().eq(1).all()


# --- Thm 5.1

def composed(words, elements):
    """Products of words (B, n) of permutations `elements`, by composing them: gh is first h, then g."""
    out = []
    for word in words.tolist():
        product = elements[word[0]]
        for g in word[1:]:
            product = tuple(product[i] for i in elements[g])
        out.append(elements.index(product))
    return torch.tensor(out)


def composition_mistakes(table, n, words, products, fewer=0):
    built = group_composition(table, n)
    tokens = torch.cat([torch.full((len(words), 1), len(table)), words], 1)
    with torch.inference_mode():
        answers = built.model(tokens, n_loops=built.loops - fewer)[:, -1].argmax(-1)
    return (answers != products).sum().item()


@pytest.mark.parametrize('n', [1, 2, 3, 4, 5, 6, 7, 8, 16, 17])
def test_group_composition_of_permutations(n):
    elements = sorted(itertools.permutations(range(3)))
    words = torch.randint(6, (200, n)) if n > 4 else torch.cartesian_prod(*n * [torch.arange(6)]).view(-1, n)
    products = composed(words, elements)
    assert composition_mistakes(group_table('s', 3), n, words, products) == 0
    if n > 1:
        assert composition_mistakes(group_table('s', 3), n, words, products, fewer=1) > len(words) / 2


@pytest.mark.parametrize('order,n', [(7, 5), (60, 3), (120, 2)])
def test_group_composition_of_sums_and_its_sizes(order, n):
    words = torch.randint(order, (300, n))
    table = (torch.arange(order)[:, None] + torch.arange(order)) % order
    assert composition_mistakes(table, n, words, words.sum(1) % order) == 0
    built = group_composition(table, n)
    b, c = len(f'{order - 1:b}'), len(f'{n:b}')
    assert built.used() == dict(n_layer=1, n_embd=3 * (b + c), n_ff=order ** 2 + 6 * b, n_head=2,
                                head_size=max(b, c))
    assert built.loops == len(f'{n - 1:b}')


def test_a_table_without_an_identity_is_refused():
    with pytest.raises(ValueError, match='identity'):
        group_composition(torch.tensor([[1, 0], [1, 0]]), 3)


def test_the_dihedral_group_is_that_of_the_symmetries_of_a_square():
    """As permutations of the corners: a quarter turn, and a reflection."""
    def corner(g, k):
        turns, mirrored = g % 4, g // 4
        return ((-k if mirrored else k) + turns) % 4
    table = theory.dihedral_table(4)
    for g, h in itertools.product(range(8), repeat=2):
        assert all(corner(table[g, h], k) == corner(g, corner(h, k)) for k in range(4))


# --- Thm 5.2

@pytest.mark.parametrize('L,R', [(2, 1), (3, 3), (5, 2), (6, 3)])
def test_simulation_equals_the_base_but_for_rounding(L, R):
    base = theory.random_base(L, R, seed=L)
    tokens = torch.randint(base.config.vocab_size, (50, 20))
    with_dummy = torch.cat([torch.full((50, 1), base.config.vocab_size), tokens], 1)
    built = simulate(base)
    d, h, ff = (getattr(base.config, name) for name in ('n_embd', 'n_head', 'n_ff'))
    assert built.used() == dict(n_layer=1, n_embd=d + R + 2, n_ff=R * (ff + 1) + L + 2, n_head=R * h,
                                head_size=d // h + 1)
    expected, logits = base(tokens), built.model(with_dummy, n_loops=L)[:, 1:]
    assert (logits[..., :-1] - expected).abs().max() < 1e-5 * expected.abs().max()
    assert torch.equal(logits.argmax(-1), expected.argmax(-1))
    assert not logits.softmax(-1)[..., -1].any()  # # has no share in the distribution


def test_simulation_of_a_trained_model_with_loops_of_its_own():
    config = GPTConfig(6, 12, 0, n_head=2, n_embd=24, activation='relu', positions='learned', norm='none',
                       bias=True, init_std=0.1)
    base = LoopedGPT(config, '1x1+2x2', torch.Generator().manual_seed(0))
    parameters = [p for name, p in base.named_parameters() if not name.endswith(('qkv.bias', 'proj.bias'))]
    optimizer = torch.optim.Adam(parameters, lr=5e-3)
    for _ in range(50):
        tokens = torch.randint(6, (64, 12))
        loss = base(tokens, tokens.roll(1, 1)) / tokens.numel()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 1.0  # of ln 6 = 1.79: the token before
    built, tokens = simulate(base), torch.randint(6, (500, 12))
    assert built.loops == 5 and built.used()['n_head'] == 3 * 2
    with torch.inference_mode():
        logits = built.model(torch.cat([torch.full((500, 1), 6), tokens], 1))[:, 1:]
        assert torch.equal(logits.argmax(-1), base(tokens).argmax(-1))


@pytest.mark.parametrize('build', [simulate, lambda base: think(base, 2)])
@pytest.mark.parametrize('choices', [dict(norm='rmsnorm'), dict(activation='gelu'), dict(positions='rope')])
def test_models_outside_of_the_class_are_refused(build, choices):
    sizes = dict(vocab_size=5, block_size=8, n_layer=0, n_head=2, n_embd=8, norm='none', activation='relu',
                 positions='learned')
    build(LoopedGPT(GPTConfig(**sizes), '2x1', torch.Generator().manual_seed(0)))
    with pytest.raises(ValueError, match='the theorem is of models'):
        build(LoopedGPT(GPTConfig(**sizes | choices), '2x1', torch.Generator().manual_seed(0)))
    with pytest.raises(ValueError, match='the theorem is of models'):
        build(LoopedGPT(GPTConfig(**sizes), '1x2', input_injection=True))


# --- Cor. 5.3

def hop_by_definition(v, p):
    """A, Def. A.1, position by position, from 1: the letter's number, or 4 for none."""
    def find(i):
        return max([0] + [j for j in range(2, i + 1) if v[j - 2] == v[i - 1]])
    out = []
    for i in range(1, len(v) + 1):
        for _ in range(p):
            i = find(i) if i else 0
        out.append(v[i - 1] if i else 4)
    return out


@pytest.mark.parametrize('n_head', [2, 3, 6])
@pytest.mark.parametrize('p', [1, 2, 3, 4, 5, 6, 7, 8, 9, 12])
def test_p_hop_in_the_stated_loops(p, n_head):
    n, n_letters = 21, 4
    letters = torch.randint(n_letters, (60, n))
    letters[30:] %= 2  # two letters only: many hops, many immediate repeats
    letters[:5] = torch.arange(n) % 4  # a cycle hops one letter on each time
    expected = torch.tensor([hop_by_definition(row, p) for row in letters.tolist()])
    built = p_hop(p, n, n_letters, n_head)
    assert built.loops == len(f'{p:b}') + 1 and built.used()['n_head'] == n_head
    tokens = torch.cat([torch.full((60, 1), n_letters), letters], 1)
    with torch.inference_mode():
        logits = dict(built.model.logits_by_loop(tokens, built.loops))
    assert torch.equal(logits[built.loops][:, 1:].argmax(-1), expected)
    assert (logits[built.loops - 1][:, 1:].argmax(-1) != expected).any(1).float().mean() > 0.5
    assert set(logits[built.loops].unique().tolist()) == {0.0, 0.5, 1.0}  # attention is one-hot, bit for bit


def test_a_construction_decodes_with_the_cache():
    """Heads have a size of their own; only what comes before a token may matter to it."""
    built = p_hop(5, 20)
    tokens = torch.cat([torch.full((8, 1), 4), torch.randint(4, (8, 20))], 1)
    cache = built.model.new_cache(8, 21, built.loops)
    cached = [built.model(part, n_loops=built.loops, cache=cache) for part in tokens.split([5, 1, 15], 1)]
    assert torch.equal(torch.cat(cached, 1), built.model(tokens, n_loops=built.loops))


@pytest.mark.parametrize('p,n_head', [(0, 3), (2, 1)])
def test_no_hop_and_too_few_heads_are_refused(p, n_head):
    with pytest.raises(ValueError, match='at least p = 1 and 2 heads'):
        p_hop(p, 9, 4, n_head)


# --- Thm 5.4

def greedy(base, tokens, m):
    for _ in range(m):
        tokens = torch.cat([tokens, base(tokens)[:, -1:].argmax(-1)], 1)
    return tokens


@pytest.mark.parametrize('n', [1, 4, 9])
def test_each_loop_adds_one_thought(n):
    """After t loops the first t dummies are greedy thoughts, the others dummies still; tokens stay."""
    base, m = theory.random_base(3, 2, seed=5, spread=4.0), 8
    V = base.config.vocab_size
    tokens = torch.randint(V, (60, n))
    expected, built = greedy(base, tokens, m), think(base, m)
    assert len(expected.unique(dim=0)) > len(tokens.unique(dim=0)) / 2 > 3
    padded = torch.cat([tokens, torch.full((60, m), V)], 1)
    for loops, logits in built.model.logits_by_loop(padded, m + 1):
        told = logits.argmax(-1)
        known = n + min(loops, m)
        assert torch.equal(told[:, :known], expected[:, :known]) and (told[:, known:] == V).all()


def test_thoughts_take_three_layers_and_dimensions_that_do_not_depend_on_length():
    base, used = theory.random_base(4, 4, seed=0), []
    for m in (1, 8):
        used.append(think(base, m).used())
    d, V = base.config.n_embd, base.config.vocab_size
    assert used[0] == used[1] and used[0]['n_layer'] == 4 + 3 and used[0]['n_embd'] == 2 * d + 4 * V + 7


# --- B's programs

@pytest.mark.parametrize('name', PROGRAMS)
def test_programs_agree_with_rasp_after_every_iteration(name):
    task, model = LENGTH_TASKS[name](9), PROGRAMS[name](9)
    words = rasp.Tokens(task.words)
    for n in range(1, 10):
        batch = task.eval_batch('test', n, 0, 30)
        last = n + 3 if name == 'parity' else n  # parity stays as it is from n on
        for t, logits in model.logits_by_loop(torch.as_tensor(batch.tokens).long(), last):
            ours = logits.argmax(-1).numpy()[:, n:]
            theirs = [rasp.PROGRAMS[name](row, t, words)[n:] for row in batch.tokens]
            assert (ours == theirs).all()
        scored = batch.targets[:, n:] >= 0
        assert (ours == batch.targets[:, n:])[scored].all()


# --- the table and the drawing

def test_held_products_are_those_of_algorithm_2():
    for n in (1, 5, 8):
        spans = [(i, i) for i in range(n + 1)]  # first and last factor; (0, 0) is the identity
        for loop in range(len(f'{n - 1:b}') + 1 if n > 1 else 1):
            rows = [row for row in theory.held_products(n) if row['loop'] == loop]
            assert [(row['first'], row['last']) for row in rows] == spans
            pairs = [(spans[max(0, 2 * i - n - 1)], spans[max(0, 2 * i - n)]) for i in range(n + 1)]
            spans = [(a[0] or b[0], b[1]) for a, b in pairs]
        assert spans[-1] == (1, n) or n == 1


def test_the_table_is_written_and_drawn(tmp_path, capsys):
    theory.main(['--inputs=20', '--steps=0', f'--out={tmp_path}/t.csv'])
    with open(tmp_path / 't.csv', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    assert {row['theorem'] for row in rows} == {'5.1', '5.2', '5.3', '5.4', 'B'}
    assert all(row['mismatches'] == '0' for row in rows)
    assert all(int(row['mismatches_one_loop_fewer']) > 0 for row in rows if row['loops'] != '0')
    assert all(float(row['max_error'] or 0) < 1e-4 for row in rows)
    assert '| 5.4 | 8 | 160 | 0 | 0e+00 | at least 100% |' in capsys.readouterr().out
    plot.main(['composition', f'{tmp_path}/t_group.csv', f'--out={tmp_path}/g'])
    assert 1000 < (tmp_path / 'g.png').stat().st_size < 200_000
    with pytest.raises(UserError, match='theory.py writes one'):
        plot.main(['composition', f'{tmp_path}/none.csv'])


def test_mismatches_and_errors_are_counted():
    case = theory.hop_case(3, 9, 3, 20, theory.np.random.default_rng(0))
    assert theory.check(case)['mismatches'] == 0
    answers, logits = case.answers.clone(), case.logits.clone()
    answers[7, -1], answers[9, 2] = (answers[7, -1] + 1) % 5, -100
    logits[3, 0, 1] += 0.25
    row = theory.check(case._replace(answers=answers, logits=logits))
    assert row['mismatches'] == 1 and float(row['max_error']) == pytest.approx(0.25, rel=0.3)


def test_a_theorem_that_is_not_there_is_refused():
    with pytest.raises(UserError, match='5.1, 5.2, 5.3, 5.4, B'):
        theory.main(['--theorems=5.1,5.9'])
    with pytest.raises(UserError, match='options only'):
        theory.main(['5.1'])


# --- larger

@pytest.mark.slow
@pytest.mark.parametrize('kind,order,n', [('c', 60, 64), ('a', 5, 33), ('s', 5, 32)])
def test_group_composition_at_size(kind, order, n):
    table = torch.as_tensor(group_table(kind, order)).long()
    words = torch.randint(len(table), (100, n))
    products = words[:, 0]
    for i in range(1, n):
        products = table[products, words[:, i]]
    assert composition_mistakes(table, n, words, products) == 0


@pytest.mark.slow
@pytest.mark.parametrize('p,n_head', [(31, 3), (24, 10)])
def test_p_hop_at_size(p, n_head):
    row = theory.check(theory.hop_case(p, 256, n_head, 60, theory.np.random.default_rng(0)))
    assert row['mismatches'] == 0 and row['mismatches_one_loop_fewer'] == 60 and row['max_error'] == '0.0e+00'


@pytest.mark.slow
def test_a_base_trained_by_train_py_is_simulated(tmp_path):
    theory.main(['--theorems=5.2', '--inputs=500', '--steps=60', f'--out={tmp_path}/t.csv'])
    with open(tmp_path / 't.csv', encoding='utf-8') as file:
        *_, row = csv.DictReader(file)
    assert row['case'].startswith('trained 4x1, accuracy') and row['inputs'] == '500'
    assert row['mismatches'] == '0' and float(row['max_error']) < 1e-4
    assert row['used'] == 'layers 1, d 134, ff 2058, heads 16 x 33'
