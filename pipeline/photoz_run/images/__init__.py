"""One door for every image: container, HDU, scaling, undefined pixels, bytes read."""
