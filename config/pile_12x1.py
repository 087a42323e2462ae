"""Table 3, row 12x1. A's perplexity: 8.16; closed-book QA 8.2, open-book QA 26.9, math 26.7,
primitives 35.7.

    torchrun --nproc_per_node=8 train.py config/pile_12x1.py

1.17e+21 training FLOPs in all, 784,910,336 parameters.
"""
from config.pile import *

stages = '12x1'
