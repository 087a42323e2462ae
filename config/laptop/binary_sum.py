"""Binary sum at laptop scale; the recipe of Fan et al. 2025 is config/lengths/binary_sum.py.

    python train.py config/laptop/binary_sum.py
    python eval_tasks.py out/laptop/binary_sum --examples=1000

No run with this preset has been finished yet.
"""
from config.laptop.lengths import *

task = 'binary_sum'
stages = '3x20'
interval = 500
max_steps = 14000
