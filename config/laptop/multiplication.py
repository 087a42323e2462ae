"""Multiplication at laptop scale; the paper's recipe is config/lengths/multiplication.py."""
from config.laptop.lengths import *

task = 'multiplication'
stages = '4x20'
max_length = 11
interval = 800
max_steps = 16000
test_lengths = (1, 3, 6, 9, 11, 12, 16, 21)
