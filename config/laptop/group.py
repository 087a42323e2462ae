"""Group composition at laptop scale: the product of 8 elements of S3 (6 elements, not commutative).

    python train.py config/laptop/group.py --stages=1x3 --out_dir=out/group_1x3

This task is an addition of this project. It trains what Theorem 5.1 of Saunshi et al. 2025 constructs:
one layer looped log2 n = 3 times can compose n = 8 elements. The loss is on the product of every prefix.
3,000 steps of 128 take about 3 minutes of one core.
"""
from config.laptop.base import *

task = 'group'
group = 's3'
elements = 8
supervise = 'all'

max_steps = 3000
