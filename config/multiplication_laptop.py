"""Multiplication at laptop scale: narrower, fewer steps and a higher rate than config/multiplication.py."""
from config.multiplication import *

n_embd = 64
n_head = 4

learning_rate = 1e-3
interval = 800
max_steps = 16000

log_interval = 100
eval_interval = 1000
eval_examples = 500
checkpoint_interval = 500

test_lengths = (1, 3, 6, 9, 11, 12, 16, 21)
