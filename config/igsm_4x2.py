"""Saunshi et al. 2025, Table 2, row 4x2. The paper reports 71.6%.

    python train.py config/igsm_4x2.py

Training takes 9.53e+16 FLOPs in all.
"""
from config.igsm import *

stages = '4x2'
