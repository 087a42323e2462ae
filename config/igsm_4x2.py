"""Table 2, row 4x2. A's accuracy: 71.6%.

    python train.py config/igsm_4x2.py

9.53e+16 training FLOPs in all.
"""
from config.igsm import *

stages = '4x2'
