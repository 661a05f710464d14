"""Teaching a gauge after its training: normal images come and go, the threshold follows the line.

target       what is taught: a run, or a model in a repository
observer     the graph of it, asked about images beside a library that is being made
addition     new normal images → rows of the library; shots: which of them show one part
change       what another library does to decisions, and its graph, verified
add, remove  the two ways to another library
references   the images of a library, listed
suspects     those least like their like, shown
recalibrate  the threshold from fresh images of the line; recalibration_page shows what it would do
share        so many images of so many; page: how pages are made
errors       how it fails
"""
