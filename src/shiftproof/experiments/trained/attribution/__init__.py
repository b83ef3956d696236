"""Where a network's invariance comes from: weight sharing, pooling, the readout and augmentation."""
