"""Saunshi et al. 2025, Table 3, row 24x1.

The paper reports a perplexity of 7.40 and mean scores of 11.2 (closed-book QA), 33.9 (open-book QA), 29.3
(math word problems) and 47.5 (reasoning primitives).

    torchrun --nproc_per_node=8 train.py config/pile_24x1.py

The model has 1,363,773,440 parameters; training takes 2.18e+21 FLOPs in all.
"""
from config.pile import *

stages = '24x1'
