"""B's recipe (Sec. 6.1, App. E and Table 2); the tasks differ from it by task, layers and interval.

Stated in the paper: GPT-2 blocks without positions, 8 heads, width 256, the task's number of layers looped
T(n) times with input injection, AdamW at 1e-4 with cosine decay to 0 once the longest training length is
reached, batch 64, 100k steps, fresh data, uniform lengths.
Not stated, so chosen here: feed-forward 4 x 256, layer norms and biases as in GPT-2, betas 0.9 and 0.99, no
weight decay, a warmup of 100 steps, clipping at 1. The final norm ends every iteration, as in B's code.

A baseline is a second file after the task's: config/lengths/as_ntp.py, as_ntp_pause, as_ntp_loop, as_fap,
as_fap_pause and as_looped_wo; those without loops have 20 times the task's layers, given by --stages.
"""
task = 'parity'
stages = '1x20'  # the baselines' depth; each problem is looped T(n) times
max_length = 19
adaptive_loops = True
input_injection = True
norm_each_loop = True

n_embd = 256
n_head = 8
positions = 'none'
norm = 'layernorm'
bias = True

optimizer = 'adamw'
learning_rate = 1e-4
warmup_steps = 100
decay_start = -1
max_steps = 100_000
batch_size = 64

log_interval = 100
eval_interval = 2500
eval_examples = 6400
checkpoint_interval = 1000
