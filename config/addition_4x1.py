"""Table 1, left, row 4x1. A has no published number for it.

    python train.py config/addition_4x1.py

5.6e+17 training FLOPs in all.
"""
from config.addition import *

stages = '4x1'
