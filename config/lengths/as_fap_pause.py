r"""After a task of B: FAP with 20 pause tokens before the answer (B, Sec. 6.3).

    python train.py config/lengths/parity.py config/lengths/as_fap_pause.py --stages=20x1 \
        --out_dir=out/parity_fap_pause
"""
from config.lengths.as_fap import *

pause_tokens = 20
