"""The language models of A, Sec. 3 and App. A.2; the rows of Tables 3 and 4 differ from it by `stages` and
lambda.

Stated in the paper: the Pile, 24 layers, width 2048, feed-forward 5120, 32 heads, sequences of 1280, batch
512, 400k steps (262.1B tokens), Adafactor at 0.01 with cosine decay, data tokenised once and the same for
every model. Not stated, so chosen here: GPT-2's tokenizer (vocabulary 50,257, padded to 50,304), RoPE,
gated GELU as in the model whose widths these are (T5.1.1-XL), pre-norm RMSNorm, no biases, untied
embeddings, a warmup of 10,000 steps, no weight decay, no dropout, clipping at 1.

A calls these models 1B and 1.5B. The 24 layers hold 1.158B parameters (0.906B with a plain GELU),
embeddings and head 0.206B more; with a tied vocabulary of 256k and a plain GELU it would be 1.43B.

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
keep_interval = 20_000  # for A's isoplots (Fig. 1): 20 checkpoints that stay, 110 GB for 24x1
