"""Scaling in depth (Sec. 3.3), 16x1. A prints no number for it alone, only the fit.

    torchrun --nproc_per_node=8 train.py config/pile_16x1.py

1.51e+21 training FLOPs in all, 977,864,704 parameters.
"""
from config.pile import *

stages = '16x1'
