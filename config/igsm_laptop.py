"""i-GSM at laptop scale: up to 6 operations among at most 8 parameters.

Different from A's recipe (config/igsm.py): smaller problems, AdamW, fewer steps, endless data.
"""
task = 'igsm'
max_ops = 6
max_edges = 8

n_embd = 128
n_head = 4
init_std = 0.06

optimizer = 'adamw'
learning_rate = 2e-3
warmup_steps = 100
max_steps = 4000
batch_size = 64

eval_interval = 250
eval_examples = 1000
checkpoint_interval = 500
log_interval = 50
