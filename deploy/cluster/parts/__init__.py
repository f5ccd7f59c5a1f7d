"""One module for each layer: what its parts are, and the steps between them."""
