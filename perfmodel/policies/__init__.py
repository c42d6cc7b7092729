"""When precision switches: the same rules in a training loop, on gradients, and offline, on what a log recorded.

`diversity.py` measures gradients, `muppet.py` decides by them, `static.py` by a list of epochs, `cyclic.py` is CPT's
schedule and `range_test.py` its search for the fewest bits; `replay.py` puts a rule beside what a logged run did.
"""
