"""Variable assignment at laptop scale: five values, a question for one or for an alias of one."""
from config.laptop import *

task = 'variables'
depths = (0, 1)
form = 'inline'
