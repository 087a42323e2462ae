"""Table 1, right, row 2x3. A's accuracy: 99.9% at p = 16, 99.8% at p = 32.

    python train.py config/ghop_2x3.py             # p = 16
    python train.py config/ghop_2x3.py --p=32 --out_dir=out/ghop_2x3_p32

1.24e+17 training FLOPs in all.
"""
from config.ghop import *

stages = '2x3'
