"""Saunshi et al. 2025, Sec. 3.3, scaling in depth, 4x9.

The paper prints the fitted line and no score of this model.

    torchrun --nproc_per_node=8 train.py config/pile_4x9.py

The model has 399,001,600 parameters; training takes 3.19e+21 FLOPs in all.
"""
from config.pile import *

stages = '4x9'
