"""The Flower app of Synoptic: nothing but the names of what is installed at either end."""
