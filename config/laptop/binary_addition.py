"""Binary addition at laptop scale; the recipe of Fan et al. 2025 is config/lengths/binary_addition.py.

    python train.py config/laptop/binary_addition.py
    python eval_tasks.py out/laptop/binary_addition --examples=1000

The optimizer is Muon, which the paper does not use: AdamW, at the best rate tried, needed three times as
many steps for sums of up to 10 bits (docs/log.md). 5,500 steps of 64 take about an hour of one core.
"""
from config.laptop.lengths import *

task = 'binary_addition'
stages = '3x20'
n_embd = 128
n_head = 8
optimizer = 'muon'
interval = 150
max_steps = 5500
