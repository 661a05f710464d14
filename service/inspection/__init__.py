"""One request's images → decisions, regions and anomaly maps.

inquiry              what a request asks
inspector            asks the version that is served, counts, has a shadow version asked, too
inspection           the way of the images: read, infer, decide
parts                one decision of the views of a part
pictures             what the model takes of a picture, and says of one in tiles
finding              what the outputs come to: decision, regions, map
judge                how a request wants its images decided and its maps encoded
mask                 the part of the picture that counts
regions              the parts of a map that speak for a decision
explainer, libraries the normal images that an answer rests on; where they are read
anomaly_map          a map as a file: PNG, JPEG, .npy
deployment           the criterion that decides where a request brings none
versions, shadow     the version that answers and how another takes its place; one beside it
taken                a decision as records and sinks get it
background           tasks beside the requests
"""
