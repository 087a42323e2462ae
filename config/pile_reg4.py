"""Table 4, regularized with k = 4, lambda = 10. A's perplexity: 7.38; closed-book QA 12.5, open-book QA
36.2, math 36.4, primitives 57.2.

    torchrun --nproc_per_node=8 train.py config/pile_reg4.py

2.18e+21 training FLOPs in all, 1,363,773,440 parameters.
"""
from config.pile import *

regularize_k = 4
regularize_weight = 10.0
