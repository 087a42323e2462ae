"""Saunshi et al. 2025, Table 3, row 6x4.

The paper reports a perplexity of 8.42 and mean scores of 8.2 (closed-book QA), 28.7 (open-book QA), 29.8
(math word problems) and 56.1 (reasoning primitives).

    torchrun --nproc_per_node=8 train.py config/pile_6x4.py

The model has 495,478,784 parameters; training takes 2.18e+21 FLOPs in all.
"""
from config.pile import *

stages = '6x4'
