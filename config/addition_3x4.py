"""Saunshi et al. 2025, Table 1 (left), row 3x4.

The paper reports 100, 99.1, 97.0 and 96.6% for 8, 16, 24 and 32 operands.

    python train.py config/addition_3x4.py

Training takes 1.68e+18 FLOPs in all.
"""
from config.addition import *

stages = '3x4'
