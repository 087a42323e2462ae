"""Table 4, regularized with k = 4, lambda = 1. A's perplexity: 7.41; closed-book QA 11.2, open-book QA
34.8, math 31.6, primitives 42.5.

    torchrun --nproc_per_node=8 train.py config/pile_reg4_lambda1.py

2.18e+21 training FLOPs in all, 1,363,773,440 parameters.
"""
from config.pile import *

regularize_k = 4
regularize_weight = 1.0
