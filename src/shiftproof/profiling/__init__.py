"""The layer profile: which layer adds how much equivariance error, and whether aliasing or padding is the cause."""
