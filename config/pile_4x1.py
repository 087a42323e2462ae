"""Table 3, row 4x1. A's perplexity: 10.12; closed-book QA 1.8, open-book QA 13.8, math 9.7,
primitives 19.4.

    torchrun --nproc_per_node=8 train.py config/pile_4x1.py

4.99e+20 training FLOPs in all, 399,001,600 parameters.
"""
from config.pile import *

stages = '4x1'
