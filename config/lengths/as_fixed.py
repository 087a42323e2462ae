"""What the baselines of Fan et al. 2025 share.

They have one depth for every problem, no input injection, and one final norm at the end.
"""
adaptive_loops = False
input_injection = False
norm_each_loop = False
