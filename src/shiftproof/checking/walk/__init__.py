"""The one walk over the graph, with types, and what it reads on the way: values of constants, idioms, aliasing."""
