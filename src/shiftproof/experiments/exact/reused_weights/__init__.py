"""How often a layer uses each of its weights, and the gradient that sums over these uses."""
