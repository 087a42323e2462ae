"""p-hop induction with A's recipe (App. A.1); the rows of Table 1, right, differ from it by `stages` only.

Stated in the paper: width 128, 8 heads, feed-forward 512, RoPE, 4 letters, length 256, 4M training examples,
Adafactor at 1e-3, batch 256, 200k steps, linear warmup and cosine; p is 16 here, --p=32 for the other column.
Not stated, so chosen here: the length of the warmup, loss at the last position, pre-norm RMSNorm, GELU, no
biases, untied embeddings, clipping at 1, one model for each p.
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
