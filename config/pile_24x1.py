"""Table 3, row 24x1. A's perplexity: 7.40; closed-book QA 11.2, open-book QA 33.9, math 29.3,
primitives 47.5.

    torchrun --nproc_per_node=8 train.py config/pile_24x1.py

2.18e+21 training FLOPs in all, 1,363,773,440 parameters.
"""
from config.pile import *

stages = '24x1'
