"""From the fully connected layer to the convolutional layer, equation by equation."""
