"""p-hop at laptop scale: 4 hops in 32 letters. `make demo` runs it with --stages=1x1, 1x4 and 4x1.

Different from A's recipe (config/ghop.py): p, length and steps are smaller, the loss is at every position
(with the loss at the last position alone nothing was learned in 1,750 steps), AdamW instead of Adafactor,
endless data. Learning rate and init_std were chosen on 4x1 among those in README.md, and are the same for all
three models.
"""
task = 'phop'
p = 4
length = 32
supervise = 'all'

n_embd = 128
n_head = 4
init_std = 0.06

optimizer = 'adamw'
learning_rate = 3e-3
warmup_steps = 50
max_steps = 1500
batch_size = 64

eval_interval = 100
checkpoint_interval = 300
log_interval = 50
