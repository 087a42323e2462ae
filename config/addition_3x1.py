"""Saunshi et al. 2025, Table 1 (left), row 3x1.

The paper reports 97.2, 78.5, 69.2 and 60.7% for 8, 16, 24 and 32 operands.

    python train.py config/addition_3x1.py

Training takes 4.2e+17 FLOPs in all.
"""
from config.addition import *

stages = '3x1'
