"""Saunshi et al. 2025, Table 2, row 8x1. The paper reports 73.2%.

    python train.py config/igsm_8x1.py

Training takes 9.53e+16 FLOPs in all.
"""
from config.igsm import *

stages = '8x1'
