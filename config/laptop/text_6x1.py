"""Bytes of the standard library: the iso-FLOP baseline, six layers."""
from config.laptop.text import *

stages = '6x1'
regularize_k = 2  # without a weight: the similarity of layers is logged
