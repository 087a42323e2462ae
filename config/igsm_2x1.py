"""Table 2, row 2x1. A's accuracy: 54.0%.

    python train.py config/igsm_2x1.py

2.41e+16 training FLOPs in all.
"""
from config.igsm import *

stages = '2x1'
