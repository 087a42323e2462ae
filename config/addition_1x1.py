"""Table 1, left, row 1x1. A's accuracy at 8, 16, 24, 32 operands: 0.1%, 0.1%, 0.1%, 0.0%.

    python train.py config/addition_1x1.py

1.4e+17 training FLOPs in all.
"""
from config.addition import *

stages = '1x1'
