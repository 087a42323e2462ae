"""Saunshi et al. 2025, Sec. 3.3, scaling in depth, 16x1.

The paper prints the fitted line and no score of this model.

    torchrun --nproc_per_node=8 train.py config/pile_16x1.py

The model has 977,864,704 parameters; training takes 1.51e+21 FLOPs in all.
"""
from config.pile import *

stages = '16x1'
