"""Training: a folder of normal images of all products → a run that can be exported.

train         one run, top to bottom; config is what it depends on, errors how it can fail
choice        what of a folder the user takes or leaves out
groups        which images show one part
data          a folder → images, labels, masks; synthetic anomalies
backbones     frozen pretrained networks → features
detectors     one published method a file: features → raw anomaly map
gauge         raw maps → maps, scores and p-values that compare across products: one graph
checkpoint    the run on disk; resume: the folder of one that is not finished
evaluation    how good a run, a published model or a gateway is on labelled images
report        the same as a page for people
benchmark     a grid of detectors and alignments
progress      of the long steps; workers: who computes them, ray_workers: on a cluster
distributed   processes that train one detector together
"""
