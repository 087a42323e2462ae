"""Addition at laptop scale: 2 or 4 operands of 2 digits. Sums of 3 operands are never seen in training.

    python train.py config/laptop/addition.py --stages=1x4 --out_dir=out/addition_1x4

This differs from the recipe of the paper (config/addition.py) by fewer operands and digits and by what
config/laptop/base.py sets. 4,000 steps of 256 take 20 to 25 minutes of one core for a model of depth 4.
"""
from config.laptop.base import *

task = 'addition'
operands = (2, 4)
test_operands = (2, 3, 4)
digits = 2

batch_size = 256
