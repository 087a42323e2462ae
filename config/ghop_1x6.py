"""Table 1, right, row 1x6. A's accuracy: 99.9% at p = 16, 99.5% at p = 32.

    python train.py config/ghop_1x6.py             # p = 16
    python train.py config/ghop_1x6.py --p=32 --out_dir=out/ghop_1x6_p32

1.24e+17 training FLOPs in all.
"""
from config.ghop import *

stages = '1x6'
