"""Lines fitted to scores: least squares against numpy; isoplots against log perplexity; the scaling law."""
import math

import numpy as np
import pytest
from run_folders import read, write_scored_run

import plot
from engine.errors import UserError
from plots import score_lines
from plots.score_lines import Fit, fit_line, slope_ratio
from plots.scored_runs import ALL_TASKS
from stages import effective_depth, parse_stages


def test_fit_against_numpy():
    draw = np.random.default_rng(0)
    for n in (2, 3, 17):
        x, y = draw.normal(size=n), draw.normal(size=n)
        line = fit_line(list(x), list(y))
        assert line[:2] == pytest.approx(np.polyfit(x, y, 1))
        assert line.r_squared == pytest.approx(1 - ((y - np.polyval(line[:2], x)) ** 2).sum() / n / y.var())
        if n > 3:  # numpy scales the covariance by the residuals' chi squared over n - 2
            assert line.error == pytest.approx(np.polyfit(x, y, 1, cov=True)[1][0, 0] ** 0.5)
    for x, y in (([], []), ([1.0], [2.0]), ([1.0, 1.0], [2.0, 3.0]), ([1.0, 2.0], [3.0, 3.0])):
        assert fit_line(x, y) is None


def test_isoplot_recovers_lines_and_reverses_perplexity(tmp_path, monkeypatch, capsys):
    """score = 100 - 30 loss for 12x1, 5 more for 12x2; one seed more; a step without a loss is left out."""
    drawn = []
    monkeypatch.setattr(score_lines, 'save_and_announce', lambda figure, out: drawn.append(figure))
    losses, folders = {10: 2.5, 20: 2.2}, []
    for stages, seed, extra in (('12x1', 0, 0), ('12x1', 1, 1), ('12x2', 0, 5)):
        scores = {step: dict.fromkeys(ALL_TASKS, 100 + extra - 30 * loss) for step, loss in losses.items()}
        scores[30] = dict.fromkeys(ALL_TASKS, 1.0)
        folder = tmp_path / f'{stages}{seed}'
        folders.append(write_scored_run(folder, stages, scores, seed=seed, losses=losses))
    plot.main(['isoplot', *folders, f'--out={tmp_path}/i'])
    rows = read(tmp_path / 'i.csv')
    assert len(rows) == 4 * 3 * 2 and {row['r_squared'] for row in rows} == {'1.0'}
    assert {(row['model'], row['seed'], row['slope'], row['intercept']) for row in rows} == {
        ('12x1', '0', '-30.0', '100.0'), ('12x1', '1', '-30.0', '101.0'), ('12x2', '0', '-30.0', '105.0')}
    assert '| math word problems | 12x2 | 0 | 2 | -30.00 | 105.00 | 1.00 |' in capsys.readouterr().out
    panels = drawn[0].axes
    assert len(panels) == 4 and all(axes.yaxis_inverted() for axes in panels)
    points, line = panels[0].lines[:2]
    assert list(points.get_xdata()) == pytest.approx([25, 34]) and list(points.get_ydata()) == [2.5, 2.2]
    assert sorted(zip(line.get_ydata(), line.get_xdata(), strict=True)) == [(2.2, 34), (2.5, 25)]
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == ['12x1', '12x2']
    plot.main(['isoplot', *folders, f'--out={tmp_path}/i', '--first_step=20'])
    assert {row['slope'] for row in read(tmp_path / 'i.csv')} == {'n/a'}
    with pytest.raises(UserError, match='run eval_downstream.py on kept checkpoints'):
        plot.main(['isoplot', *folders, f'--out={tmp_path}/i', '--first_step=25'])


def test_scaling_recovers_alpha_of_log_depth(tmp_path, monkeypatch, capsys):
    """Looped 1 + 12 ln D; plain 3.77 + 10 ln D through the same 4x1, which is a point of both."""
    drawn, folders = [], []
    monkeypatch.setattr(score_lines, 'save_and_announce', lambda figure, out: drawn.append(figure))
    for stages in ('4x1', '4x2', '4x6', '8x1', '24x1'):
        alpha = 12 if stages in ('4x2', '4x6') else 10
        depth = effective_depth(parse_stages(stages))
        score = 1 + 12 * math.log(4) + alpha * math.log(depth / 4)
        folders.append(write_scored_run(tmp_path / stages, stages, {task: score for task in ALL_TASKS}))
    plot.main(['scaling', *folders, f'--out={tmp_path}/s'])
    rows = [row for row in read(tmp_path / 's.csv') if row['group'] == 'reasoning_primitives']
    assert [(row['kind'], row['model'], row['depth']) for row in rows] == [
        *(('looped 4xL', name, depth) for name, depth in (('4x1', '4'), ('4x2', '8'), ('4x6', '24'))),
        *(('plain Dx1', name, depth) for name, depth in (('4x1', '4'), ('8x1', '8'), ('24x1', '24')))]
    looped, plain = rows[0], rows[-1]
    for row, line in ((looped, [12, 1, 1]), (plain, [10, 1 + 2 * math.log(4), 1])):
        found = [float(row[name]) for name in ('alpha', 'beta', 'r_squared')]
        assert found == pytest.approx(line, abs=1e-4)
    assert looped['ratio'] == '1.2' and looped['paper_ratio'] == '1.19'
    out = capsys.readouterr().out
    assert '| reasoning primitives | looped 4xL | 3 | 12.00 | 1.00 | 1.00 | 1.20 | 1.19 |' in out
    assert '| closed-book QA | plain Dx1 | 3 | 10.00 | 3.77 | 1.00 |  |  |' in out
    axes = drawn[0].axes[3]
    assert axes.get_xscale() == 'log'
    assert [text.get_text() for text in axes.get_xticklabels()] == ['4', '8', '24']
    assert axes.get_title() == 'reasoning primitives\nratio of alpha: 1.20'


def test_the_ratio_of_alphas_needs_a_plain_slope_beyond_its_noise():
    fit = Fit
    assert slope_ratio(fit(6, 0, 1, 9), fit(4, 0, 1, 1.9)) == 1.5
    assert slope_ratio(fit(6, 0, 1, 0), fit(4, 0, 1, 2)) == 'n/a'
    assert slope_ratio(fit(6, 0, 1, 0), fit(-4, 0, 1, 0)) == 'n/a'
    assert slope_ratio(None, fit(4, 0, 1, 0)) == 'n/a'
    assert slope_ratio(fit(4, 0, 1, 0), None) == 'n/a'


@pytest.mark.parametrize('others,message', [
    (['4x1+4x4+4x1'], 'scaling takes kxL and Dx1'), (['8x1'], 'here k is missing'),
    (['4x2', '8x3'], 'here k is 4 and 8')])
def test_scaling_refuses_other_models(tmp_path, others, message):
    folders = [write_scored_run(tmp_path / name, name, {'drop': 1.0}) for name in ('4x1', *others)]
    with pytest.raises(UserError, match=message):
        plot.main(['scaling', *folders, f'--out={tmp_path}/s'])
