"""The library of normal images that a gauge compares with: what is known of each, without torch.

library    the normal images, as they lie beside a run or a published model
likeness   which of them look most like an image, and how much each counts
memories   what is remembered of a normal image: a few of its patches
views      maps → scores that compare across products: `cada`
novelty    how unlike all of them an image is
conformal  scores of normal images → a threshold and p-values
fit        all of that at once: the constants of the graph
suspicion  which images are least like their like
thumbnails small pictures of the images, to look at
errors     how it fails

What is learnt from pixels stays with training and with the graph. What follows from the images in
the library follows here, so that images come and go where torch is not installed.
"""
