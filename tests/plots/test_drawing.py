"""Figures need no window, are small, and no legend covers a panel."""
import os
import subprocess
import sys

import pytest
from run_folders import write_scored_run

import plot
from plots import score_lines
from plots.drawing import COLORS, colors_of, save_and_announce
from plots.scored_runs import ALL_TASKS


@pytest.mark.parametrize('backend', ['module://matplotlib_inline.backend_inline', 'TkAgg', 'none'])
def test_a_backend_that_the_environment_names_is_not_used(root, backend):
    code = 'import plot, matplotlib; print(matplotlib.get_backend())'
    found = subprocess.run([sys.executable, '-c', code], cwd=root, env=os.environ | dict(MPLBACKEND=backend),
                           capture_output=True, text=True)
    assert found.stdout.strip().lower() == 'agg', found.stderr


def test_colours_follow_the_order_of_names_and_repeat():
    colors = colors_of(list('baacdefgh'))
    assert list(colors) == list('bacdefgh') and list(colors.values()) == [*COLORS, COLORS[0]]


def test_figures_are_small_and_legends_cover_nothing(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(score_lines, 'save_and_announce',
                        lambda figure, out: (drawn.append(figure), save_and_announce(figure, out)))
    scores = {step: {task: step + i for i, task in enumerate(ALL_TASKS)} for step in (10, 20, 30)}
    folders = [write_scored_run(tmp_path / name, name, scores, error=0.01,
                                losses={10: 3.0, 20: 2.5, 30: 2.4}) for name in ('4x1', '8x1', '4x2')]
    for figure in ('isoplot', 'scaling'):
        plot.main([figure, *folders, f'--out={tmp_path}/{figure}'])
        assert 5000 < (tmp_path / f'{figure}.png').stat().st_size < 200_000
        legend = drawn[-1].legends[0].get_window_extent()
        assert not any(legend.overlaps(axes.get_tightbbox()) for axes in drawn[-1].axes)
