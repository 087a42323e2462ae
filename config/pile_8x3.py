"""Table 3, row 8x3. A's perplexity: 8.19; closed-book QA 8.5, open-book QA 30.8, math 28.4,
primitives 55.3.

    torchrun --nproc_per_node=8 train.py config/pile_8x3.py

2.18e+21 training FLOPs in all, 591,955,968 parameters.
"""
from config.pile import *

stages = '8x3'
