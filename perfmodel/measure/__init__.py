"""Timing kernels on a device, real or simulated; the only home of GPU libraries. Its result is a profile file."""
