"""What several benchmarks share.

load         requests to one address, from a process of its own
servers      the gateway and its peers, started for a benchmark
turns        gateways that take turns under one load
plant        who is told of decisions; controllers: those that look themselves
apart        work in a process of its own
pinned       work on certain cores
devices      a gauge on a GPU or on the CPU
operations   how much arithmetic a graph asks for
limit        what the machine could do at most
pictures     pictures of a size and a format
page         the forms of a page
figures      where figures are kept
"""
