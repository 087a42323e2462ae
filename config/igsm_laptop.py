"""i-GSM at laptop scale: up to 4 operations among at most 6 parameters. Does not learn yet, see README.md.

Different from A's recipe (config/igsm.py): smaller problems, AdamW, fewer steps, endless data.
"""
task = 'igsm'
max_ops = 4
max_edges = 6

n_embd = 128
n_head = 4
init_std = 0.06

optimizer = 'adamw'
learning_rate = 1e-3
warmup_steps = 100
max_steps = 4000
batch_size = 128

eval_interval = 250
eval_examples = 1000
checkpoint_interval = 500
log_interval = 50
