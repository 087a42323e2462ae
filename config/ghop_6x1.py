"""Saunshi et al. 2025, Table 1 (right), row 6x1.

The paper reports 99.9% for p = 16 and 99.6% for p = 32.

    python train.py config/ghop_6x1.py                                     # p = 16
    python train.py config/ghop_6x1.py --p=32 --out_dir=out/ghop_6x1_p32   # p = 32

Training takes 1.24e+17 FLOPs in all.
"""
from config.ghop import *

stages = '6x1'
