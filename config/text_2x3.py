"""Bytes of the standard library: two layers looped three times."""
from config.text import *

stages = '2x3'
