"""Table 4, regularized with k = 6, lambda = 10. A's perplexity: 7.40; closed-book QA 12.0, open-book QA
35.8, math 31.0, primitives 55.8.

    torchrun --nproc_per_node=8 train.py config/pile_reg6.py

2.18e+21 training FLOPs in all, 1,363,773,440 parameters.
"""
from config.pile import *

regularize_k = 6
regularize_weight = 10.0
