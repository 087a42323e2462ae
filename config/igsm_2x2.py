"""Saunshi et al. 2025, Table 2, row 2x2. The paper reports 66.9%.

    python train.py config/igsm_2x2.py

Training takes 4.78e+16 FLOPs in all.
"""
from config.igsm import *

stages = '2x2'
