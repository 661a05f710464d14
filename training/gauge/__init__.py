"""Raw anomaly maps → maps, scores and p-values that compare across products: one graph.

gauge         all of it together, as trained, evaluated and exported
split         which images a detector is fitted on, and which the gauge is calibrated on
evidence      what a run keeps of normal images
alignments    raw maps → maps that compare across products
scoring       maps → image scores
calibration   scores of normal images → the one threshold, and p-values
novelty       whether the product is known at all
"""
