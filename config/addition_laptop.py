"""n-ary addition at laptop scale: 2 or 4 operands of 2 digits; 3 operands are not seen in training.

Different from A's recipe (config/addition.py): fewer operands and digits, AdamW, fewer steps, endless data.
"""
task = 'addition'
operands = (2, 4)
test_operands = (2, 3, 4)
digits = 2

n_embd = 128
n_head = 4
init_std = 0.06

optimizer = 'adamw'
learning_rate = 2e-3
warmup_steps = 100
max_steps = 4000
batch_size = 256

eval_interval = 250
eval_examples = 1000
checkpoint_interval = 500
log_interval = 50
