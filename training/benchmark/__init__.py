"""Every detector with every alignment on one data set: the grid, its results and their tables."""
