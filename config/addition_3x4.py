"""Table 1, left, row 3x4. A's accuracy at 8, 16, 24, 32 operands: 100%, 99.1%, 97.0%, 96.6%.

    python train.py config/addition_3x4.py

1.68e+18 training FLOPs in all.
"""
from config.addition import *

stages = '3x4'
