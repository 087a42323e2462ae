"""Parity at laptop scale: narrower, with fewer steps and a higher rate than config/lengths/parity.py.

    python train.py config/laptop/parity.py
    python eval_tasks.py out/laptop/parity --examples=1000

6,000 steps of 64 take about 10 minutes of one core.
"""
from config.lengths.parity import *

n_embd = 128
n_head = 4

learning_rate = 5e-4
interval = 200
max_steps = 6000

log_interval = 50
eval_interval = 500
eval_examples = 1000
checkpoint_interval = 500

test_lengths = (1, 5, 10, 15, 19, 20, 24, 29, 34, 39, 49)
