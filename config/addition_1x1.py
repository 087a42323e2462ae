"""Saunshi et al. 2025, Table 1 (left), row 1x1.

The paper reports 0.1, 0.1, 0.1 and 0.0% for 8, 16, 24 and 32 operands.

    python train.py config/addition_1x1.py

Training takes 1.4e+17 FLOPs in all.
"""
from config.addition import *

stages = '1x1'
