"""Language models of bytes at laptop scale, on the sources of Python's standard library; rows differ by
`stages`.

    python data/text/prepare.py && python train.py config/text_2x3.py

About 11 million training bytes, of which 8,000 steps of 16 x 256 see 33 million: three epochs.
"""
task = 'tokens'
data = 'data/stdlib'
block_size = 256
tokenizer = 'bytes'
vocab_size = 257

n_embd = 192
n_head = 6

optimizer = 'adamw'
learning_rate = 1e-3
weight_decay = 0.1
warmup_steps = 200
max_steps = 8000
batch_size = 16

log_interval = 50
eval_interval = 500
eval_examples = 500
checkpoint_interval = 500
