"""p-hop induction at laptop scale: 4 hops in 32 letters. `make demo` trains 1x1, 1x4 and 4x1 with it.

    python train.py config/laptop/ghop_demo.py --stages=1x4 --out_dir=out/demo_1x4_seed0

This differs from the recipe of Saunshi et al. 2025 (config/ghop.py): p, length and steps are smaller; the
loss is at every position, because with the loss at the last position alone nothing was learned in 1,750
steps; AdamW takes the place of Adafactor; the data is endless. Learning rate and init_std were chosen on
4x1 among those in results/demo_grid.csv and are the same for all three models. 1,500 steps of 64 take 1
to 3 minutes of one core.
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
