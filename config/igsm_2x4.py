"""Table 2, row 2x4. A's accuracy: 73.6%.

    python train.py config/igsm_2x4.py

9.53e+16 training FLOPs in all.
"""
from config.igsm import *

stages = '2x4'
