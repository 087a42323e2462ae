"""Binary addition at laptop scale; the paper's recipe is config/lengths/binary_addition.py.

By Muon: AdamW at its best rate needed three times as many steps for sums of up to 10 bits (README.md).
"""
from config.laptop.lengths import *

task = 'binary_addition'
stages = '3x20'
n_embd = 128
n_head = 8
optimizer = 'muon'
interval = 150
max_steps = 5500
