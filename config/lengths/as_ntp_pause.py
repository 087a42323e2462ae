r"""The baseline NTP-Pause (Fan et al. 2025, Sec. 6.1.2).

NTP with 20 pause tokens before the answer. Give this file after that of a task:

    python train.py config/lengths/parity.py config/lengths/as_ntp_pause.py \
        --stages=20x1 --out_dir=out/lengths/parity_ntp_pause
"""
from config.lengths.as_ntp import *

pause_tokens = 20
