"""Binary addition at laptop scale; the paper's recipe is config/binary_addition.py.

The best of what was tried (README.md), which was not trained to the end: hours of one core.
"""
from config.length_laptop import *

task = 'binary_addition'
stages = '3x20'
n_embd = 128
n_head = 8
learning_rate = 2e-4
interval = 300
max_steps = 12_000
