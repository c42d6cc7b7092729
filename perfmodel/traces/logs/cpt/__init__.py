"""CPT's log: its lines, and the cyclic schedule that has the bits it prints."""
