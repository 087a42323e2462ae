"""Bytes of the standard library: a middle loop: one layer, one looped four times, one layer."""
from config.laptop.text import *

stages = '1x1+1x4+1x1'
