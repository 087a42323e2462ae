"""i-GSM by the recipe of Saunshi et al. 2025, App. A.1.

The rows of Table 2 differ from this file by `stages` alone: config/igsm_1x8.py and its neighbours.

Stated in the paper: width 128, 8 heads, feed-forward 512, RoPE; 4 levels of entities, arithmetic modulo
7, about 4 million training and 50,000 test examples; Adafactor with a peak rate of 0.001, batches of 256,
200,000 steps, linear warmup and cosine decay.

Not stated, so chosen here: sizes as in the medium setting of Ye et al. 2024 (up to 15 operations, 20
edges), a token for each parameter, digit and sign, the answer directly after the question, a loss on the
answer alone, 2,000 steps of warmup, RMSNorm before each part of a block, GELU, no biases, untied
embeddings, clipping at norm 1 (docs/deviations.md, D1, D2, D6, D8).

200,000 x 256 = 51.2 million examples: 12.8 passes over the training set.
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
