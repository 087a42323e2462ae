"""Saunshi et al. 2025, Table 1 (left), row 1x12.

The paper reports 99.9, 100, 99.9 and 99.6% for 8, 16, 24 and 32 operands.

    python train.py config/addition_1x12.py

Training takes 1.68e+18 FLOPs in all.
"""
from config.addition import *

stages = '1x12'
