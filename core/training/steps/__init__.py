"""The training step in each of its forms: the same numbers, in less time where the device allows it."""
