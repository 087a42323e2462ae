"""Table 4, regularized with k = 12, lambda = 10. A's perplexity: 7.51; closed-book QA 10.1, open-book QA
34.1, math 32.3, primitives 50.7.

    torchrun --nproc_per_node=8 train.py config/pile_reg12.py

2.18e+21 training FLOPs in all, 1,363,773,440 parameters.
"""
from config.pile import *

regularize_k = 12
regularize_weight = 10.0
