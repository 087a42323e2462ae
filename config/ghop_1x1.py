"""Table 1, right, row 1x1. A's accuracy: 48.9% at p = 16, 49.0% at p = 32.

    python train.py config/ghop_1x1.py             # p = 16
    python train.py config/ghop_1x1.py --p=32 --out_dir=out/ghop_1x1_p32

2.07e+16 training FLOPs in all.
"""
from config.ghop import *

stages = '1x1'
