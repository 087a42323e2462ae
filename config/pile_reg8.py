"""Saunshi et al. 2025, Table 4, the regularized model with k = 8 and lambda = 10.

The paper reports a perplexity of 7.43 and mean scores of 11.3 (closed-book QA), 34.4 (open-book QA), 32.8
(math word problems) and 56.3 (reasoning primitives).

    torchrun --nproc_per_node=8 train.py config/pile_reg8.py

The model has 1,363,773,440 parameters; training takes 2.18e+21 FLOPs in all.
"""
from config.pile import *

regularize_k = 8
regularize_weight = 10.0
