"""Table 3, the middle loop (4x1, 4x4, 4x1). A's perplexity: 7.81; closed-book QA 11.0, open-book QA 32.3,
math 28.3, primitives 56.5.

    torchrun --nproc_per_node=8 train.py config/pile_middle.py

2.18e+21 training FLOPs in all, 784,910,336 parameters.
"""
from config.pile import *

stages = '4x1+4x4+4x1'
