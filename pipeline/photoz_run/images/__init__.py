"""One door for every image: container, HDU, scaling, undefined pixels, and what is read of a file."""
