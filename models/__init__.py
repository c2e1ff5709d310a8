"""Networks, training and checkpoints. Imports schemas and transforms."""
