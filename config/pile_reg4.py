"""Saunshi et al. 2025, Table 4, the regularized model with k = 4 and lambda = 10.

The paper reports a perplexity of 7.38 and mean scores of 12.5 (closed-book QA), 36.2 (open-book QA), 36.4
(math word problems) and 57.2 (reasoning primitives).

    torchrun --nproc_per_node=8 train.py config/pile_reg4.py

The model has 1,363,773,440 parameters; training takes 2.18e+21 FLOPs in all.
"""
from config.pile import *

regularize_k = 4
regularize_weight = 10.0
