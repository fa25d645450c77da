"""The model test's world: what acts, what should become of it, and what must always hold."""
