"""Table 1, left, row 12x1. A's accuracy at 8, 16, 24, 32 operands: 100%, 100%, 100%, 100%.

    python train.py config/addition_12x1.py

1.68e+18 training FLOPs in all.
"""
from config.addition import *

stages = '12x1'
