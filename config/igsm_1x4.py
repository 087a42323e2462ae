"""Table 2, row 1x4. A's accuracy: 69.9%.

    python train.py config/igsm_1x4.py

4.78e+16 training FLOPs in all.
"""
from config.igsm import *

stages = '1x4'
