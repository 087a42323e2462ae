"""n-ary addition with A's recipe (App. A.1); the rows of Table 1, left, differ from it by `stages` only.

Stated in the paper: width 256, 8 heads, feed-forward 1024, operands of 3 digits, 2, 4, 8, 16 or 32 of them in
training, 8, 16, 24 and 32 in the test, Adafactor at 0.005, batch 1024, 200k steps, linear warmup and cosine;
the best of 3 seeds by mean accuracy is reported (--seed=0, 1, 2).
Not stated, so chosen here: character tokens without spaces, loss on the answer and its end, RoPE, a warmup of
2,000 steps, pre-norm RMSNorm, GELU, no biases, untied embeddings, clipping at 1.
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
