"""Table 1, left, row 3x1. A's accuracy at 8, 16, 24, 32 operands: 97.2%, 78.5%, 69.2%, 60.7%.

    python train.py config/addition_3x1.py

4.2e+17 training FLOPs in all.
"""
from config.addition import *

stages = '3x1'
