"""Bytes of the standard library: a middle loop, that is one layer, one looped four times, and one layer."""
from config.laptop.text import *

stages = '1x1+1x4+1x1'
