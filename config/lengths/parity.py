"""Parity by the recipe of Fan et al. 2025: 1 layer looped T(n) times.

    python train.py config/lengths/parity.py
    python eval_tasks.py out/lengths/parity

Problems of length 1 to 19 in training, up to 50 in the test (Fig. 4). The authors' code has 64 heads and
adds a length every 500 steps.
"""
from config.lengths.base import *

task = 'parity'
stages = '1x20'
interval = 1000
test_lengths = tuple(range(1, 51))
