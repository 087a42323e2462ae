"""Saunshi et al. 2025, Table 1 (right), row 3x1.

The paper reports 97.2% for p = 16 and 73.0% for p = 32.

    python train.py config/ghop_3x1.py                                     # p = 16
    python train.py config/ghop_3x1.py --p=32 --out_dir=out/ghop_3x1_p32   # p = 32

Training takes 6.2e+16 FLOPs in all.
"""
from config.ghop import *

stages = '3x1'
