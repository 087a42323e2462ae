"""Multiplication by the recipe of Fan et al. 2025: 4 layers looped T(n) times.

    python train.py config/lengths/multiplication.py
    python eval_tasks.py out/lengths/multiplication

Problems of length 1 to 11 in training, up to 15 in the test (Fig. 4).
"""
from config.lengths.base import *

task = 'multiplication'
stages = '4x20'
interval = 500
max_length = 11
test_lengths = tuple(range(1, 16))
