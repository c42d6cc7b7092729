"""Memory-bound kernels of low-precision training: CUDA sources, how to launch them, and what they must compute."""
