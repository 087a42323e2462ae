"""Bytes of the standard library: two layers looped three times."""
from config.laptop.text import *

stages = '2x3'
