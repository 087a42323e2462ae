"""Saunshi et al. 2025, Table 2, row 2x4. The paper reports 73.6%.

    python train.py config/igsm_2x4.py

Training takes 9.53e+16 FLOPs in all.
"""
from config.igsm import *

stages = '2x4'
