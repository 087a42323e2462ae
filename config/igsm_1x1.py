"""Table 2, row 1x1. A's accuracy: 24.5%.

    python train.py config/igsm_1x1.py

1.23e+16 training FLOPs in all.
"""
from config.igsm import *

stages = '1x1'
