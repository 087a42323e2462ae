"""What the laptop presets share: small models, AdamW, fewer steps, endless data.

The tasks are those of Saunshi et al. 2025, on problems that are small enough for one core.
"""
n_embd = 128
n_head = 4
init_std = 0.06

optimizer = 'adamw'
learning_rate = 2e-3
warmup_steps = 100
max_steps = 4000
batch_size = 128

log_interval = 50
eval_interval = 250
eval_examples = 1000
checkpoint_interval = 500
