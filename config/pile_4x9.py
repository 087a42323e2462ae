"""Scaling in depth (Sec. 3.3), 4x9. A prints no number for it alone, only the fit.

    torchrun --nproc_per_node=8 train.py config/pile_4x9.py

3.19e+21 training FLOPs in all, 399,001,600 parameters.
"""
from config.pile import *

stages = '4x9'
