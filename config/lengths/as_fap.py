r"""The baseline FAP (Fan et al. 2025, Sec. 6.3).

Full-answer prediction by 20 times the layers of the task, without loops. Give this file after that of a
task:

    python train.py config/lengths/parity.py config/lengths/as_fap.py \
        --stages=20x1 --out_dir=out/lengths/parity_fap
"""
from config.lengths.as_fixed import *

answer = 'fap'
