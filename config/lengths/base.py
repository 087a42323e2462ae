"""The recipe of Fan et al. 2025 (Sec. 6.1, App. E and Table 2).

The files of the tasks differ from this one by task, layers and interval.

Stated in the paper: GPT-2 blocks without positions, 8 heads, width 256; the task's number of layers
looped T(n) times with input injection; AdamW at 1e-4 with a cosine decay to 0 once the longest training
length is reached; batches of 64, 100,000 steps, fresh data, uniform lengths, 5 seeds.

Not stated, so chosen here: feed-forward 4 x 256, layer norms and biases as in GPT-2, betas 0.9 and 0.99,
no weight decay, 100 steps of warmup, clipping at norm 1, no positions in the baselines either. The final
norm ends every iteration, as in the authors' code, which has betas 0.9 and 0.999, weight decay 0.01 and
no warmup (docs/deviations.md, D16).

A baseline is a second file after that of the task: config/lengths/as_ntp.py, as_ntp_pause.py,
as_ntp_loop.py, as_fap.py, as_fap_pause.py and as_looped_wo.py. Those without loops have 20 times the
layers of the task, which --stages sets.
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
