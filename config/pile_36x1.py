"""Saunshi et al. 2025, Sec. 3.3, scaling in depth, 36x1.

The paper prints the fitted line and no score of this model.

    torchrun --nproc_per_node=8 train.py config/pile_36x1.py

The model has 1,942,636,544 parameters; training takes 3.19e+21 FLOPs in all.
"""
from config.pile import *

stages = '36x1'
