"""Bytes of the standard library: six layers, regularized towards two looped three times.

lambda = 10 is the value of Saunshi et al. 2025 at 24 layers of width 2048. Here it is probably far
stronger than there (docs/deviations.md, D14).
"""
from config.laptop.text import *

stages = '6x1'
regularize_k = 2
regularize_weight = 10.0
