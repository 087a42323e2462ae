"""Saunshi et al. 2025, Table 2, row 1x8. The paper reports 73.2%.

    python train.py config/igsm_1x8.py

Training takes 9.53e+16 FLOPs in all.
"""
from config.igsm import *

stages = '1x8'
