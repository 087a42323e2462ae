"""Table 2, row 1x2. A's accuracy: 52.3%.

    python train.py config/igsm_1x2.py

2.41e+16 training FLOPs in all.
"""
from config.igsm import *

stages = '1x2'
