"""Saunshi et al. 2025, Table 4, the regularized model with k = 6 and lambda = 10.

The paper reports a perplexity of 7.40 and mean scores of 12.0 (closed-book QA), 35.8 (open-book QA), 31.0
(math word problems) and 55.8 (reasoning primitives).

    torchrun --nproc_per_node=8 train.py config/pile_reg6.py

The model has 1,363,773,440 parameters; training takes 2.18e+21 FLOPs in all.
"""
from config.pile import *

regularize_k = 6
regularize_weight = 10.0
