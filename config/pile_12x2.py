"""Saunshi et al. 2025, Table 3, row 12x2.

The paper reports a perplexity of 7.90 and mean scores of 9.3 (closed-book QA), 30.8 (open-book QA), 34.3
(math word problems) and 51.2 (reasoning primitives).

    torchrun --nproc_per_node=8 train.py config/pile_12x2.py

The model has 784,910,336 parameters; training takes 2.18e+21 FLOPs in all.
"""
from config.pile import *

stages = '12x2'
