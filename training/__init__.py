"""Training: a folder of normal images of all products → a run that can be exported.

dataset    images on disk, read as the gateway reads an upload
layouts, masks   the data sets of the field as they are published, and trees as plants name them
selection, choice   what is taken from a folder, what is left out and why
synthesis  synthetic anomalies on them
backbone, transformer   frozen pretrained network (starter is our own)
features   what it sees of every image, cached on disk
corpus     all training images read once: features and descriptors
detectors  one published method a file: features → raw anomaly map
embedding, places   how an image looks: which are like it, and what it shows place by place
alignments raw maps → maps that compare across products (CADA and its rivals)
calibration, novelty   held-out normal images → the one threshold, unknown products
gauge      all of it as one graph
checkpoint the run on disk
evaluation   how good a run is on labelled images
train, engine, state, progress, config, errors

Beside it: `products` renders procedural products, `textures` and `distill` made the starter.
"""
