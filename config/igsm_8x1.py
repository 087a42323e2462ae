"""Table 2, row 8x1. A's accuracy: 73.2%.

    python train.py config/igsm_8x1.py

9.53e+16 training FLOPs in all.
"""
from config.igsm import *

stages = '8x1'
