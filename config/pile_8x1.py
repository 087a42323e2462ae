"""Saunshi et al. 2025, Table 3, row 8x1.

The paper reports a perplexity of 8.75 and mean scores of 6.3 (closed-book QA), 22.7 (open-book QA), 17.1
(math word problems) and 33.0 (reasoning primitives).

    torchrun --nproc_per_node=8 train.py config/pile_8x1.py

The model has 591,955,968 parameters; training takes 8.35e+20 FLOPs in all.
"""
from config.pile import *

stages = '8x1'
