"""What several benchmarks share.

load       requests to one address, from a process of its own
servers    the gateway and its peers, started for a benchmark
limit      what the machine could do at most
pictures   pictures of a size and a format
page       the forms of a page
figures    where figures are kept
"""
