"""Saunshi et al. 2025, Table 3, row 8x3.

The paper reports a perplexity of 8.19 and mean scores of 8.5 (closed-book QA), 30.8 (open-book QA), 28.4
(math word problems) and 55.3 (reasoning primitives).

    torchrun --nproc_per_node=8 train.py config/pile_8x3.py

The model has 591,955,968 parameters; training takes 2.18e+21 FLOPs in all.
"""
from config.pile import *

stages = '8x3'
