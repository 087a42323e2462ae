"""Group composition at laptop scale: the product of 8 elements of S3 (6 elements, not commutative).

An addition of this project, to show A's Theorem 5.1 in training: one layer looped log2 n = 3 times can
compose n = 8 elements. The loss is on the product of every prefix.
"""
task = 'group'
group = 's3'
elements = 8
supervise = 'all'

n_embd = 128
n_head = 4
init_std = 0.06

optimizer = 'adamw'
learning_rate = 2e-3
warmup_steps = 100
max_steps = 3000
batch_size = 128

eval_interval = 250
eval_examples = 1000
checkpoint_interval = 500
log_interval = 50
