"""Binary sum by B's recipe: 3 layers, looped T(n) times, lengths 1 to 19, tested up to 24 (Fig. 4).

    python train.py config/lengths/binary_sum.py && python eval_tasks.py out/binary_sum

B's code: 2 layers, 16 heads, interval 500.
"""
from config.lengths.base import *

task = 'binary_sum'
stages = '3x20'
interval = 1000
test_lengths = tuple(range(1, 25))
