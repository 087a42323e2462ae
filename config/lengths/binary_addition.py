"""Binary addition by B's recipe: 3 layers, looped T(n) times, lengths 1 to 19, tested up to 30 (Fig. 4).

    python train.py config/lengths/binary_addition.py && python eval_tasks.py out/binary_addition
"""
from config.lengths.base import *

task = 'binary_addition'
stages = '3x20'
interval = 1600
test_lengths = tuple(range(1, 31))
