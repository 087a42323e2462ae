"""p-hop induction by the recipe of Saunshi et al. 2025, App. A.1.

The rows of Table 1 (right) differ from this file by `stages` alone: config/ghop_1x6.py and its
neighbours.

Stated in the paper: width 128, 8 heads, feed-forward 512, RoPE; 4 letters, length 256, 4 million training
examples; Adafactor with a peak rate of 0.001, batches of 256, 200,000 steps, linear warmup and cosine
decay. p is 16 here; --p=32 gives the other column.

Not stated, so chosen here: 2,000 steps of warmup, a loss at the last position, RMSNorm before each part
of a block, GELU, no biases, untied embeddings, clipping at norm 1, a model of its own for each p
(docs/deviations.md, D1 to D4, D6).

200,000 x 256 = 51.2 million examples: 12.8 passes over the training set.
"""
task = 'phop'
p = 16
length = 256
n_letters = 4
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

log_interval = 100
eval_interval = 5000
eval_examples = 10_000
checkpoint_interval = 1000
