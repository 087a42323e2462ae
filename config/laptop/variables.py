"""Variable assignment at laptop scale: five values; the question asks for one, or for an alias of one.

    python train.py config/laptop/variables.py --stages=4x1 --out_dir=out/variables_4x1

Each problem asks 20 more questions about the same lines, and all answers are scored. With biases, learned
positions and Muon a 4x1 learned it in 3,000 steps of 64 (20 minutes of one core); docs/log.md lists what
did not learn.
"""
from config.laptop.base import *

task = 'variables'
depths = (0, 1)
form = 'inline'
supervise = 'values'

bias = True
positions = 'learned'

optimizer = 'muon'
learning_rate = 1e-3
batch_size = 64
max_steps = 3000
