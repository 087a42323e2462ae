"""What B's baselines share: one depth for every problem, no input injection, one final norm at the end."""
adaptive_loops = False
input_injection = False
norm_each_loop = False
