"""Table 2, row 1x8. A's accuracy: 73.2%.

    python train.py config/igsm_1x8.py

9.53e+16 training FLOPs in all.
"""
from config.igsm import *

stages = '1x8'
