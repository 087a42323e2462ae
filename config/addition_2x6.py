"""Table 1, left, row 2x6. A's accuracy at 8, 16, 24, 32 operands: 100%, 99.8%, 99.7%, 99.5%.

    python train.py config/addition_2x6.py

1.68e+18 training FLOPs in all.
"""
from config.addition import *

stages = '2x6'
