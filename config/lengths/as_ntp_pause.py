r"""After a task of B: NTP with 20 pause tokens before the answer (B, Sec. 6.1.2).

    python train.py config/lengths/parity.py config/lengths/as_ntp_pause.py --stages=20x1 \
        --out_dir=out/parity_ntp_pause
"""
from config.lengths.as_ntp import *

pause_tokens = 20
