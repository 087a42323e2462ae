"""i-GSM at laptop scale: up to 4 operations among at most 6 parameters, up to 1, 2, 3 and 4 in training.

Different from A's recipe (config/igsm.py): smaller problems, those with fewer operations first, a loss on
every value that the text so far gives (with the loss on the answer alone nothing was learned), AdamW, fewer
steps, endless data. The learning rate was chosen on 4x1 among those in README.md; all three models use it.
"""
task = 'igsm'
max_ops = (1, 2, 3, 4)
difficulty_start = (0, 500, 1000, 1500)
max_edges = 6
supervise = 'values'

n_embd = 128
n_head = 4
init_std = 0.06

optimizer = 'adamw'
learning_rate = 1e-3
warmup_steps = 100
max_steps = 12_000
batch_size = 64

eval_interval = 250
eval_examples = 1000
checkpoint_interval = 500
log_interval = 50
