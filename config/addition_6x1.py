"""Table 1, left, row 6x1. A has no published number for it.

    python train.py config/addition_6x1.py

8.39e+17 training FLOPs in all.
"""
from config.addition import *

stages = '6x1'
