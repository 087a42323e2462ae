"""Table 3, row 6x1. A's perplexity: 9.25; closed-book QA 4.0, open-book QA 19.3, math 17.7,
primitives 24.1.

    torchrun --nproc_per_node=8 train.py config/pile_6x1.py

6.67e+20 training FLOPs in all, 495,478,784 parameters.
"""
from config.pile import *

stages = '6x1'
