"""``make gpu``: what one NVIDIA GPU does with the shipped bundle, in one call of a few minutes."""
