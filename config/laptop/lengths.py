"""What the laptop presets of the tasks of Fan et al. 2025 share.

They are narrower and faster than config/lengths/base.py.
"""
from config.lengths.base import *

n_embd = 64
n_head = 4

learning_rate = 1e-3

log_interval = 100
eval_interval = 1000
eval_examples = 500
checkpoint_interval = 500

test_lengths = (1, 5, 10, 15, 19, 20, 24, 29)
