"""Saunshi et al. 2025, Table 2, row 1x4. The paper reports 69.9%.

    python train.py config/igsm_1x4.py

Training takes 4.78e+16 FLOPs in all.
"""
from config.igsm import *

stages = '1x4'
