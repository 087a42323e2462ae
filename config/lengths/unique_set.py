"""Unique set by B's recipe: 3 layers, looped T(n) times, lengths 1 to 19, tested up to 30 (Fig. 4).

    python train.py config/lengths/unique_set.py && python eval_tasks.py out/unique_set
"""
from config.lengths.base import *

task = 'unique_set'
stages = '3x20'
interval = 1000
test_lengths = tuple(range(1, 31))
