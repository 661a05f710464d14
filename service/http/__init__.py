"""A connection → a request → an answer.

connection, parser   bytes → requests, with limits on the header
middleware           what every request passes: id, log, count, headers of the answer
routes               the paths; lookout has that of Amazon Lookout for Vision
direct               the short way of inspections to theirs
history, criterion   the paths of records, and of what decides
proposals, sinks     the paths of teaching, and of the ways to a plant
access, keys         who may use a route, and how often
admission            how many requests, inspections and bytes at once
options, body, names what a request says: its options, its images, its file names; json_body
disconnect           work whose client has gone is given up
answers, problems    what it is answered: the forms of an answer, and errors as RFC 9457
gateway              the parts that the routes use
"""
