"""`/review`: the page on which people look at what was inspected, and say what they see.

visitor, session     who looks: the key's login, its signed cookie, requests from elsewhere
languages            the texts of languages/*.toml, numbers and times as a language writes them
pages                templates filled in, and the problems of a page as a page
doors                what a path needs: the records, and somebody who may look at them
search               what is looked for, as an address has it
desk                 the inspections that were found, and one of them
queue                the paths to look, to judge, to print; `evidence` is what is printed
comparison           the normal images beside a picture that was kept
pictures             the paths of pictures
lines, live          how each line does; its newest pictures as they come
threshold            what another threshold would change, and saving it
unknown, teach       what is learnt of unknown products and false alarms, and what comes of it
references           the normal images of the version that is served, suspects first
routes               all paths in one
"""
