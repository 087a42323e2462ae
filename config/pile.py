"""The language models of Saunshi et al. 2025, Sec. 3 and App. A.2.

The rows of Tables 3 and 4 differ from this file by `stages` and lambda alone: config/pile_12x2.py and its
neighbours.

Stated in the paper: the Pile, 24 layers, width 2048, feed-forward 5120, 32 heads; sequences of 1280
tokens, batches of 512, 400,000 steps, a cosine schedule with a peak rate of 0.01; the data is tokenised
once and is the same, in the same order, for every model.

Not stated, so chosen here: the optimizer (Adafactor, which the paper names for its synthetic tasks),
10,000 steps of warmup, GPT-2's tokenizer (50,257 tokens, padded to 50,304), RoPE, a gated GELU as in
T5.1.1-XL, whose widths these are, RMSNorm before each part of a block, no biases, untied embeddings, no
weight decay, no dropout, clipping at norm 1 (docs/deviations.md, D1, D6, D13).

400,000 x 512 x 1,280 = 262.1 billion tokens. The paper calls these models 1B and 1.5B. The 24 layers hold
1.158 billion parameters (0.906 with a plain feed-forward layer); embeddings and head hold 0.206 billion
more. With a tied vocabulary of 256,000 tokens and a plain feed-forward layer it would be 1.43 billion.

    python data/pile/prepare.py && torchrun --nproc_per_node=8 train.py config/pile_12x2.py
"""
task = 'tokens'
data = 'data/pile'
block_size = 1280
tokenizer = 'gpt2'
vocab_size = 50_304

stages = '24x1'
n_embd = 2048
n_head = 32
n_ff = 5120
activation = 'geglu'
positions = 'rope'
checkpoint_loops = True
device_memory = 80.0

optimizer = 'adafactor'
learning_rate = 0.01
warmup_steps = 10_000
max_steps = 400_000
batch_size = 512

data_workers = 2
log_interval = 10
eval_interval = 20_000
eval_examples = 4096
checkpoint_interval = 1000
keep_interval = 20_000  # for the isoplots (Saunshi et al. 2025, Fig. 1): 20 checkpoints, 110 GB for 24x1
