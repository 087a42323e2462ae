"""Table 1, right, row 2x1. A's accuracy: 68.8% at p = 16, 59.4% at p = 32.

    python train.py config/ghop_2x1.py             # p = 16
    python train.py config/ghop_2x1.py --p=32 --out_dir=out/ghop_2x1_p32

4.13e+16 training FLOPs in all.
"""
from config.ghop import *

stages = '2x1'
