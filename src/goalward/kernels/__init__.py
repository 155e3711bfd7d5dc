"""Computation in C++ for CPUs, where models are so small that PyTorch's operations cost more than their arithmetic."""
