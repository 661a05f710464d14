"""A report for people: one page that shows how a run decides on labelled images."""
