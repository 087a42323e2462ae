"""Table 3, row 8x1. A's perplexity: 8.75; closed-book QA 6.3, open-book QA 22.7, math 17.1,
primitives 33.0.

    torchrun --nproc_per_node=8 train.py config/pile_8x1.py

8.35e+20 training FLOPs in all, 591,955,968 parameters.
"""
from config.pile import *

stages = '8x1'
