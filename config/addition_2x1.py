"""Table 1, left, row 2x1. A's accuracy at 8, 16, 24, 32 operands: 85.8%, 71.5%, 49.3%, 38.8%.

    python train.py config/addition_2x1.py

2.8e+17 training FLOPs in all.
"""
from config.addition import *

stages = '2x1'
