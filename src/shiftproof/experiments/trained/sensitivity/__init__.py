"""Translation sensitivity of networks, and what changes it most."""
