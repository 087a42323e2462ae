"""Saunshi et al. 2025, Table 3, row 6x1.

The paper reports a perplexity of 9.25 and mean scores of 4.0 (closed-book QA), 19.3 (open-book QA), 17.7
(math word problems) and 24.1 (reasoning primitives).

    torchrun --nproc_per_node=8 train.py config/pile_6x1.py

The model has 495,478,784 parameters; training takes 6.67e+20 FLOPs in all.
"""
from config.pile import *

stages = '6x1'
