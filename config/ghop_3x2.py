"""Table 1, right, row 3x2. A's accuracy: 99.9% at p = 16, 99.5% at p = 32.

    python train.py config/ghop_3x2.py             # p = 16
    python train.py config/ghop_3x2.py --p=32 --out_dir=out/ghop_3x2_p32

1.24e+17 training FLOPs in all.
"""
from config.ghop import *

stages = '3x2'
