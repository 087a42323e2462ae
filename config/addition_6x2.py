"""Table 1, left, row 6x2. A has no published number for it.

    python train.py config/addition_6x2.py

1.68e+18 training FLOPs in all.
"""
from config.addition import *

stages = '6x2'
