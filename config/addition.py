"""Addition of several numbers by the recipe of Saunshi et al. 2025, App. A.1.

The rows of Table 1 (left) differ from this file by `stages` alone: config/addition_12x1.py and its
neighbours.

Stated in the paper: width 256, 8 heads, feed-forward 1024; operands of 3 digits; 2, 4, 8, 16 or 32
operands in training and 8, 16, 24 and 32 in the test; Adafactor with a peak rate of 0.005, batches of
1024, 200,000 steps, linear warmup and cosine decay. Of 3 seeds the paper reports the one with the best
mean accuracy; run --seed=0, 1 and 2 for that.

Not stated, so chosen here: a token for each character and no spaces, a loss on the answer and its end,
RoPE, 2,000 steps of warmup, RMSNorm before each part of a block, GELU, no biases, untied embeddings,
clipping at norm 1 (docs/deviations.md, D1, D2, D6, D7).

200,000 x 1,024 = 204.8 million examples.
"""
task = 'addition'
operands = (2, 4, 8, 16, 32)
test_operands = (8, 16, 24, 32)
digits = 3
supervise = 'answer'

n_embd = 256
n_head = 8
positions = 'rope'

optimizer = 'adafactor'
learning_rate = 5e-3
warmup_steps = 2000
max_steps = 200_000
batch_size = 1024

data_workers = 2
log_interval = 100
eval_interval = 5000
eval_examples = 5000
checkpoint_interval = 1000
