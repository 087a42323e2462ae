"""Unique set at laptop scale; the recipe of Fan et al. 2025 is config/lengths/unique_set.py.

    python train.py config/laptop/unique_set.py
    python eval_tasks.py out/laptop/unique_set --examples=1000

No run with this preset has been finished yet.
"""
from config.laptop.lengths import *

task = 'unique_set'
stages = '3x20'
interval = 700
max_steps = 20000
