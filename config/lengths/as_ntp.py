"""After a task of B: next-token prediction by 20 times the task's layers, no loops (B, Sec. 6.1.2).

    python train.py config/lengths/parity.py config/lengths/as_ntp.py --stages=20x1 --out_dir=out/parity_ntp
"""
from config.lengths.as_fixed import *

answer = 'ntp'
