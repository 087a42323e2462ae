"""Saunshi et al. 2025, Table 3, row 4x6.

The paper reports a perplexity of 8.79 and mean scores of 6.7 (closed-book QA), 26.2 (open-book QA), 24.8
(math word problems) and 56.9 (reasoning primitives).

    torchrun --nproc_per_node=8 train.py config/pile_4x6.py

The model has 399,001,600 parameters; training takes 2.18e+21 FLOPs in all.
"""
from config.pile import *

stages = '4x6'
