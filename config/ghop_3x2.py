"""Saunshi et al. 2025, Table 1 (right), row 3x2.

The paper reports 99.9% for p = 16 and 99.5% for p = 32.

    python train.py config/ghop_3x2.py                                     # p = 16
    python train.py config/ghop_3x2.py --p=32 --out_dir=out/ghop_3x2_p32   # p = 32

Training takes 1.24e+17 FLOPs in all.
"""
from config.ghop import *

stages = '3x2'
