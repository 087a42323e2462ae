"""Language models of bytes at laptop scale, on the sources of Python's standard library.

    python data/text/prepare.py && python train.py config/laptop/text_2x3.py

The rows differ from this file by `stages` and the regularizer alone. There are about 11 million training
bytes; 2,500 steps of 16 x 256 see 10.2 million of them. A model of depth 6 takes 15 to 25 minutes of one
core.
"""
task = 'tokens'
data = 'data/stdlib'
block_size = 256
tokenizer = 'bytes'
vocab_size = 257

n_embd = 128
n_head = 4

optimizer = 'adamw'
learning_rate = 1e-3
weight_decay = 0.1
warmup_steps = 200
max_steps = 2500
batch_size = 16

log_interval = 50
eval_interval = 250
eval_examples = 500
checkpoint_interval = 500
