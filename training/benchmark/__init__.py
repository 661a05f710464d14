"""Every detector with every alignment on one data set.

benchmark   the grid, which goes on where it stopped
results     its figures on disk
tables      its figures in Markdown
"""
