"""Parity by B's recipe: 1 layer, looped T(n) times, lengths 1 to 19, tested up to 50 (Fig. 4).

    python train.py config/lengths/parity.py && python eval_tasks.py out/parity

B's code: 64 heads, interval 500.
"""
from config.lengths.base import *

task = 'parity'
stages = '1x20'
interval = 1000
test_lengths = tuple(range(1, 51))
