"""Binary addition at laptop scale; the paper's recipe is config/binary_addition.py."""
from config.length_laptop import *

task = 'binary_addition'
stages = '3x20'
interval = 700
max_steps = 20000
