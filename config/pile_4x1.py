"""Saunshi et al. 2025, Table 3, row 4x1.

The paper reports a perplexity of 10.12 and mean scores of 1.8 (closed-book QA), 13.8 (open-book QA), 9.7
(math word problems) and 19.4 (reasoning primitives).

    torchrun --nproc_per_node=8 train.py config/pile_4x1.py

The model has 399,001,600 parameters; training takes 4.99e+20 FLOPs in all.
"""
from config.pile import *

stages = '4x1'
