"""Thm 5.1 and Cor. 5.3 against brute force written from the definitions."""
import itertools

import pytest
import torch

from problems.group import group_table
from proofs.constructions import group_composition, p_hop

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
    assert built.used() == f'layers 1, d {3 * (b + c)}, ff {order ** 2 + 6 * b}, heads 2 x {max(b, c)}'
    assert built.loops == len(f'{n - 1:b}')


def test_a_table_without_an_identity_is_refused():
    with pytest.raises(ValueError, match='identity'):
        group_composition(torch.tensor([[1, 0], [1, 0]]), 3)


@pytest.mark.slow
@pytest.mark.parametrize('kind,order,n', [('c', 60, 64), ('a', 5, 33), ('s', 5, 32)])
def test_group_composition_at_size(kind, order, n):
    table = torch.as_tensor(group_table(kind, order)).long()
    words = torch.randint(len(table), (100, n))
    products = words[:, 0]
    for i in range(1, n):
        products = table[products, words[:, i]]
    assert composition_mistakes(table, n, words, products) == 0


# --- Cor. 5.3

def hop_by_definition(v, p):
    """Saunshi et al. 2025, Def. A.1, position by position, from 1: the letter's number, or 4 for none."""
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
    assert built.loops == len(f'{p:b}') + 1 and built.model.config.n_head == n_head
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
