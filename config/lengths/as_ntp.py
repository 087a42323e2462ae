r"""The baseline NTP (Fan et al. 2025, Sec. 6.1.2).

Next-token prediction by 20 times the layers of the task, without loops. Give this file after that of a
task:

    python train.py config/lengths/parity.py config/lengths/as_ntp.py \
        --stages=20x1 --out_dir=out/lengths/parity_ntp
"""
from config.lengths.as_fixed import *

answer = 'ntp'
