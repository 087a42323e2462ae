"""Group composition at laptop scale: the product of 8 elements of S3 (6 elements, not commutative).

An addition of this project, to show A's Theorem 5.1 in training: one layer looped log2 n = 3 times can
compose n = 8 elements. The loss is on the product of every prefix.
"""
from config.laptop.base import *

task = 'group'
group = 's3'
elements = 8
supervise = 'all'

max_steps = 3000
