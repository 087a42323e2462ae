"""Table 2, row 4x1. A's accuracy: 71.3%.

    python train.py config/igsm_4x1.py

4.78e+16 training FLOPs in all.
"""
from config.igsm import *

stages = '4x1'
