"""Multiplication at laptop scale; the recipe of Fan et al. 2025 is config/lengths/multiplication.py.

    python train.py config/laptop/multiplication.py
    python eval_tasks.py out/laptop/multiplication --examples=1000

No run with this preset has been finished yet.
"""
from config.laptop.lengths import *

task = 'multiplication'
stages = '4x20'
max_length = 11
interval = 800
max_steps = 16000
test_lengths = (1, 3, 6, 9, 11, 12, 16, 21)
