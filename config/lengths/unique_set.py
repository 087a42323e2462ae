"""Unique set by the recipe of Fan et al. 2025: 3 layers looped T(n) times.

    python train.py config/lengths/unique_set.py
    python eval_tasks.py out/lengths/unique_set

Problems of length 1 to 19 in training, up to 30 in the test (Fig. 4).
"""
from config.lengths.base import *

task = 'unique_set'
stages = '3x20'
interval = 1000
test_lengths = tuple(range(1, 31))
