"""Copy at laptop scale; the paper's recipe is config/copy.py."""
from config.length_laptop import *

task = 'copy'
stages = '2x20'
interval = 900
max_steps = 26_000
