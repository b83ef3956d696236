"""Which frequencies a kernel amplifies and which it attenuates."""
