"""i-GSM with A's recipe (App. A.1); the rows of Table 2 differ from it by `stages` only.

Stated in the paper: width 128, 8 heads, feed-forward 512, RoPE, 4 levels, arithmetic mod 7, about 4M training
and 50k test examples, Adafactor at 1e-3, batch 256, 200k steps, linear warmup and cosine.
Not stated, so chosen here: sizes as Ye et al.'s medium (15 operations, 20 edges), a token for each parameter,
digit and sign, the answer directly after the question, loss on the answer alone, a warmup of 2,000 steps,
pre-norm RMSNorm, GELU, no biases, untied embeddings, clipping at 1.
"""
from problems.igsm import PRESETS as _presets

task = 'igsm'
max_ops, max_edges = (_presets['medium'][0],), _presets['medium'][1]
supervise = 'answer'
train_examples = 4_000_000

n_embd = 128
n_head = 8
positions = 'rope'

optimizer = 'adafactor'
learning_rate = 1e-3
warmup_steps = 2000
max_steps = 200_000
batch_size = 256

data_workers = 4
log_interval = 100
eval_interval = 5000
eval_examples = 10_000
checkpoint_interval = 1000
