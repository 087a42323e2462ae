"""Table 1, right, row 3x1. A's accuracy: 97.2% at p = 16, 73.0% at p = 32.

    python train.py config/ghop_3x1.py             # p = 16
    python train.py config/ghop_3x1.py --p=32 --out_dir=out/ghop_3x1_p32

6.2e+16 training FLOPs in all.
"""
from config.ghop import *

stages = '3x1'
