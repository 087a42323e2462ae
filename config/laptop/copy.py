"""Copy at laptop scale; the recipe of Fan et al. 2025 is config/lengths/copy.py.

    python train.py config/laptop/copy.py
    python eval_tasks.py out/laptop/copy --examples=1000

19,500 steps of 64 take about 40 minutes of one core.
"""
from config.laptop.lengths import *

task = 'copy'
stages = '2x20'
interval = 850
max_steps = 19_500
