"""After a task of B: full-answer prediction by 20 times the task's layers, no loops (B, Sec. 6.3).

    python train.py config/lengths/parity.py config/lengths/as_fap.py --stages=20x1 --out_dir=out/parity_fap
"""
from config.lengths.as_fixed import *

answer = 'fap'
