"""Saunshi et al. 2025, Table 3, the middle loop (4x1, 4x4, 4x1).

The paper reports a perplexity of 7.81 and mean scores of 11.0 (closed-book QA), 32.3 (open-book QA), 28.3
(math word problems) and 56.5 (reasoning primitives).

    torchrun --nproc_per_node=8 train.py config/pile_middle.py

The model has 784,910,336 parameters; training takes 2.18e+21 FLOPs in all.
"""
from config.pile import *

stages = '4x1+4x4+4x1'
