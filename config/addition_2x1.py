"""Saunshi et al. 2025, Table 1 (left), row 2x1.

The paper reports 85.8, 71.5, 49.3 and 38.8% for 8, 16, 24 and 32 operands.

    python train.py config/addition_2x1.py

Training takes 2.8e+17 FLOPs in all.
"""
from config.addition import *

stages = '2x1'
