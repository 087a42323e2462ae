"""Saunshi et al. 2025, Table 2, row 4x1. The paper reports 71.3%.

    python train.py config/igsm_4x1.py

Training takes 4.78e+16 FLOPs in all.
"""
from config.igsm import *

stages = '4x1'
