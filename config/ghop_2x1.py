"""Saunshi et al. 2025, Table 1 (right), row 2x1.

The paper reports 68.8% for p = 16 and 59.4% for p = 32.

    python train.py config/ghop_2x1.py                                     # p = 16
    python train.py config/ghop_2x1.py --p=32 --out_dir=out/ghop_2x1_p32   # p = 32

Training takes 4.13e+16 FLOPs in all.
"""
from config.ghop import *

stages = '2x1'
