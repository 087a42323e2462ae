"""Scaling in depth (Sec. 3.3), 4x2. A prints no number for it alone, only the fit.

    torchrun --nproc_per_node=8 train.py config/pile_4x2.py

8.35e+20 training FLOPs in all, 399,001,600 parameters.
"""
from config.pile import *

stages = '4x2'
