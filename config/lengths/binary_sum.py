"""Binary sum by the recipe of Fan et al. 2025: 3 layers looped T(n) times.

    python train.py config/lengths/binary_sum.py
    python eval_tasks.py out/lengths/binary_sum

Problems of length 1 to 19 in training, up to 24 in the test (Fig. 4). The authors' code has 2 layers and
16 heads and adds a length every 500 steps.
"""
from config.lengths.base import *

task = 'binary_sum'
stages = '3x20'
interval = 1000
test_lengths = tuple(range(1, 25))
