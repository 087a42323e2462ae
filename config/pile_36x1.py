"""Scaling in depth (Sec. 3.3), 36x1. A prints no number for it alone, only the fit.

    torchrun --nproc_per_node=8 train.py config/pile_36x1.py

3.19e+21 training FLOPs in all, 1,942,636,544 parameters.
"""
from config.pile import *

stages = '36x1'
