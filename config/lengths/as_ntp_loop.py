"""After a task of B: NTP by the task's layers looped 20 times, for every problem (B, Sec. 6.1.2).

    python train.py config/lengths/parity.py config/lengths/as_ntp_loop.py --out_dir=out/parity_ntp_loop
"""
from config.lengths.as_ntp import *
