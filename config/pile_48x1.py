"""Scaling in depth (Sec. 3.3), 48x1. A prints no number for it alone, only the fit.

    torchrun --nproc_per_node=8 train.py config/pile_48x1.py

4.2e+21 training FLOPs in all, 2,521,499,648 parameters.
"""
from config.pile import *

stages = '48x1'
