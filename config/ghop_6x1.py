"""Table 1, right, row 6x1. A's accuracy: 99.9% at p = 16, 99.6% at p = 32.

    python train.py config/ghop_6x1.py             # p = 16
    python train.py config/ghop_6x1.py --p=32 --out_dir=out/ghop_6x1_p32

1.24e+17 training FLOPs in all.
"""
from config.ghop import *

stages = '6x1'
