"""Saunshi et al. 2025, Table 4, the regularized model with k = 4 and lambda = 1.

The paper reports a perplexity of 7.41 and mean scores of 11.2 (closed-book QA), 34.8 (open-book QA), 31.6
(math word problems) and 42.5 (reasoning primitives).

    torchrun --nproc_per_node=8 train.py config/pile_reg4_lambda1.py

The model has 1,363,773,440 parameters; training takes 2.18e+21 FLOPs in all.
"""
from config.pile import *

regularize_k = 4
regularize_weight = 1.0
