"""Saunshi et al. 2025, Table 1 (left), row 2x6.

The paper reports 100, 99.8, 99.7 and 99.5% for 8, 16, 24 and 32 operands.

    python train.py config/addition_2x6.py

Training takes 1.68e+18 FLOPs in all.
"""
from config.addition import *

stages = '2x6'
