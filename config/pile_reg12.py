"""Saunshi et al. 2025, Table 4, the regularized model with k = 12 and lambda = 10.

The paper reports a perplexity of 7.51 and mean scores of 10.1 (closed-book QA), 34.1 (open-book QA), 32.3
(math word problems) and 50.7 (reasoning primitives).

    torchrun --nproc_per_node=8 train.py config/pile_reg12.py

The model has 1,363,773,440 parameters; training takes 2.18e+21 FLOPs in all.
"""
from config.pile import *

regularize_k = 12
regularize_weight = 10.0
