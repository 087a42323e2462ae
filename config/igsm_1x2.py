"""Saunshi et al. 2025, Table 2, row 1x2. The paper reports 52.3%.

    python train.py config/igsm_1x2.py

Training takes 2.41e+16 FLOPs in all.
"""
from config.igsm import *

stages = '1x2'
