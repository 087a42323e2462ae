"""Table 4, regularized with k = 8, lambda = 10. A's perplexity: 7.43; closed-book QA 11.3, open-book QA
34.4, math 32.8, primitives 56.3.

    torchrun --nproc_per_node=8 train.py config/pile_reg8.py

2.18e+21 training FLOPs in all, 1,363,773,440 parameters.
"""
from config.pile import *

regularize_k = 8
regularize_weight = 10.0
