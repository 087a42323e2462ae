"""Saunshi et al. 2025, Sec. 3.3, scaling in depth, 48x1.

The paper prints the fitted line and no score of this model.

    torchrun --nproc_per_node=8 train.py config/pile_48x1.py

The model has 2,521,499,648 parameters; training takes 4.2e+21 FLOPs in all.
"""
from config.pile import *

stages = '48x1'
