"""Copy at laptop scale: narrower, fewer steps and a higher rate than config/copy.py."""
from config.copy import *

n_embd = 64
n_head = 4

learning_rate = 1e-3
interval = 900
max_steps = 26_000

log_interval = 100
eval_interval = 1000
eval_examples = 500
checkpoint_interval = 500

test_lengths = (1, 5, 10, 15, 19, 20, 24, 29)
