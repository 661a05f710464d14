"""A report for people: one page that shows how a run decides on labelled images.

report                   writes the page, its plots and its numbers; page fills in page.html
headline                 the figures in words
curves, distributions    plots over all products; plots: how they look
gallery, exhibit         which images are shown, and how
tables                   the numbers as rows
scale                    the one scale of scores and colours
templates                how pages are filled in, those of other commands too
"""
