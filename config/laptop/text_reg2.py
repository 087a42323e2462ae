"""Bytes of the standard library: six layers, regularized towards two looped three times."""
from config.laptop.text import *

stages = '6x1'
regularize_k = 2
regularize_weight = 10.0
