"""Saunshi et al. 2025, Table 3, row 12x1.

The paper reports a perplexity of 8.16 and mean scores of 8.2 (closed-book QA), 26.9 (open-book QA), 26.7
(math word problems) and 35.7 (reasoning primitives).

    torchrun --nproc_per_node=8 train.py config/pile_12x1.py

The model has 784,910,336 parameters; training takes 1.17e+21 FLOPs in all.
"""
from config.pile import *

stages = '12x1'
