r"""The baseline NTP-Loop (Fan et al. 2025, Sec. 6.1.2).

NTP by the layers of the task, looped 20 times for every problem. Give this file after that of a task:

    python train.py config/lengths/parity.py config/lengths/as_ntp_loop.py \
        --out_dir=out/lengths/parity_ntp_loop
"""
from config.lengths.as_ntp import *
