"""Table 3, row 6x4. A's perplexity: 8.42; closed-book QA 8.2, open-book QA 28.7, math 29.8,
primitives 56.1.

    torchrun --nproc_per_node=8 train.py config/pile_6x4.py

2.18e+21 training FLOPs in all, 495,478,784 parameters.
"""
from config.pile import *

stages = '6x4'
