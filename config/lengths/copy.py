"""Copy by B's recipe: 2 layers, looped T(n) times, lengths 1 to 19, tested up to 30 (Fig. 4).

    python train.py config/lengths/copy.py && python eval_tasks.py out/copy
"""
from config.lengths.base import *

task = 'copy'
stages = '2x20'
interval = 1000
test_lengths = tuple(range(1, 31))
