"""Operators that make constants: out of nothing, or out of another tensor's shape alone."""

# the result depends on the shape of a tensor only, whatever is in it
FROM_SHAPE = {"zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "zero", "sym_size", "size"}

# what they are given first, in the shape or type of what they are given second
LIKE_ANOTHER = {"type_as", "expand_as", "view_as", "reshape_as"}

# the values are whatever was in memory
UNDEFINED = {"empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "empty_permuted"}

# another value each time
RANDOM = {
    "rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", "bernoulli", "multinomial",
    "normal", "uniform", "native_dropout", "exponential", "rrelu",
}  # fmt: skip
