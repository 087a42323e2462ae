"""Table 3, row 4x6. A's perplexity: 8.79; closed-book QA 6.7, open-book QA 26.2, math 24.8,
primitives 56.9.

    torchrun --nproc_per_node=8 train.py config/pile_4x6.py

2.18e+21 training FLOPs in all, 399,001,600 parameters.
"""
from config.pile import *

stages = '4x6'
