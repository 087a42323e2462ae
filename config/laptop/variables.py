"""Variable assignment at laptop scale: five values, a question for one or for an alias of one.

With 20 more questions about the same lines, all scored, biases, learned positions and Muon; what did not
learn is in README.md.
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
