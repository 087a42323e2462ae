r"""The baseline FAP-Pause (Fan et al. 2025, Sec. 6.3).

FAP with 20 pause tokens before the answer. Give this file after that of a task:

    python train.py config/lengths/parity.py config/lengths/as_fap_pause.py \
        --stages=20x1 --out_dir=out/lengths/parity_fap_pause
"""
from config.lengths.as_fap import *

pause_tokens = 20
