"""Multiplication by B's recipe: 4 layers, looped T(n) times, lengths 1 to 11, tested up to 15 (Fig. 4).

    python train.py config/lengths/multiplication.py && python eval_tasks.py out/multiplication
"""
from config.lengths.base import *

task = 'multiplication'
stages = '4x20'
interval = 500
max_length = 11
test_lengths = tuple(range(1, 16))
