"""Table 2, row 2x2. A's accuracy: 66.9%.

    python train.py config/igsm_2x2.py

4.78e+16 training FLOPs in all.
"""
from config.igsm import *

stages = '2x2'
