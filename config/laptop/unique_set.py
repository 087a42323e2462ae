"""Unique set at laptop scale; the paper's recipe is config/lengths/unique_set.py."""
from config.laptop.lengths import *

task = 'unique_set'
stages = '3x20'
interval = 700
max_steps = 20000
