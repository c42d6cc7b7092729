"""CUTLASS kernels: which there are, which of them suit a GEMM, how they are compiled, loaded and launched."""
