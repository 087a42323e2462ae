"""Table 3, row 12x2. A's perplexity: 7.90; closed-book QA 9.3, open-book QA 30.8, math 34.3,
primitives 51.2.

    torchrun --nproc_per_node=8 train.py config/pile_12x2.py

2.18e+21 training FLOPs in all, 784,910,336 parameters.
"""
from config.pile import *

stages = '12x2'
