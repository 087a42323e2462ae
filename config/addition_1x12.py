"""Table 1, left, row 1x12. A's accuracy at 8, 16, 24, 32 operands: 99.9%, 100%, 99.9%, 99.6%.

    python train.py config/addition_1x12.py

1.68e+18 training FLOPs in all.
"""
from config.addition import *

stages = '1x12'
