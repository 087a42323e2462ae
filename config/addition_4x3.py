"""Table 1, left, row 4x3. A has no published number for it.

    python train.py config/addition_4x3.py

1.68e+18 training FLOPs in all.
"""
from config.addition import *

stages = '4x3'
