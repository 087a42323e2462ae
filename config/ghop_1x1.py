"""Saunshi et al. 2025, Table 1 (right), row 1x1.

The paper reports 48.9% for p = 16 and 49.0% for p = 32.

    python train.py config/ghop_1x1.py                                     # p = 16
    python train.py config/ghop_1x1.py --p=32 --out_dir=out/ghop_1x1_p32   # p = 32

Training takes 2.07e+16 FLOPs in all.

The sampler of the paper is not known in full, and with ours one layer cannot be expected to reach 49%
(docs/deviations.md, D3).
"""
from config.ghop import *

stages = '1x1'
