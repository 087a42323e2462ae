"""n-ary addition at laptop scale: 2 or 4 operands of 2 digits; 3 operands are not seen in training.

Different from the paper's recipe (config/addition.py): fewer operands and digits, and what
config/laptop/base.py sets.
"""
from config.laptop.base import *

task = 'addition'
operands = (2, 4)
test_operands = (2, 3, 4)
digits = 2

batch_size = 256
