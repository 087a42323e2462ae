"""After a task of B: FAP with 20 pause tokens before the answer (B, Sec. 6.3).

    python train.py config/parity.py config/as_fap_pause.py --stages=20x1 --out_dir=out/parity_fap_pause
"""
from config.as_fap import *

pause_tokens = 20
