"""Saunshi et al. 2025, Table 2, row 1x1. The paper reports 24.5%.

    python train.py config/igsm_1x1.py

Training takes 1.23e+16 FLOPs in all.
"""
from config.igsm import *

stages = '1x1'
