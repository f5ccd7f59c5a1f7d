"""The parts of each layer and the steps between them, one module per layer."""
