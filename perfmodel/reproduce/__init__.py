"""Published results recomputed: the paper's figures and ours side by side."""
