"""Saunshi et al. 2025, Table 2, row 2x1. The paper reports 54.0%.

    python train.py config/igsm_2x1.py

Training takes 2.41e+16 FLOPs in all.
"""
from config.igsm import *

stages = '2x1'
