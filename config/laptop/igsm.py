"""i-GSM at laptop scale: up to 4 operations among at most 6 parameters, up to 1, 2, 3 and 4 in training.

Different from A's recipe (config/igsm.py): smaller problems, those with fewer operations first, a loss on
every value that the text so far gives (with the loss on the answer alone nothing was learned), and what
config/laptop/base.py sets. The learning rate was chosen on 4x1 (docs/log.md); all three models use it.
"""
from config.laptop.base import *

task = 'igsm'
max_ops = (1, 2, 3, 4)
difficulty_start = (0, 500, 1000, 1500)
max_edges = 6
supervise = 'values'

learning_rate = 1e-3
max_steps = 12_000
batch_size = 64
