"""Variable assignment at laptop scale: five values, a question for one or for an alias of one."""
task = 'variables'
depths = (0, 1)
form = 'inline'

n_embd = 128
n_head = 4
init_std = 0.06

optimizer = 'adamw'
learning_rate = 2e-3
warmup_steps = 100
max_steps = 4000
batch_size = 128

eval_interval = 250
eval_examples = 1000
checkpoint_interval = 500
log_interval = 50
