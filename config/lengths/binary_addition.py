"""Binary addition by the recipe of Fan et al. 2025: 3 layers looped T(n) times.

    python train.py config/lengths/binary_addition.py
    python eval_tasks.py out/lengths/binary_addition

Problems of length 1 to 19 in training, up to 30 in the test (Fig. 4).
"""
from config.lengths.base import *

task = 'binary_addition'
stages = '3x20'
interval = 1600
test_lengths = tuple(range(1, 31))
