"""Saunshi et al. 2025, Table 1 (left), row 12x1.

The paper reports 100, 100, 100 and 100% for 8, 16, 24 and 32 operands.

    python train.py config/addition_12x1.py

Training takes 1.68e+18 FLOPs in all.
"""
from config.addition import *

stages = '12x1'
