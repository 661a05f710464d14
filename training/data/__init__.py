"""A folder of images → what of it is taken, its pixels, labels and masks.

layouts     the trees of published data sets, and what names say of images
selection   what is taken from a folder, what is left out and why
reading     one pass over the training files: pixels, digest, features
corpus      the training images as all later steps see them
dataset     images as the gateway reads an upload, and labelled images
masks       ground truth: a file → the pixels that it marks
copies      copies of an image, and near-copies of a part
sequence    images taken one after another, where the order tells which are alike
bit_depth   how many bits the images of a folder fill
digest      SHA-256 of files and of all data
synthesis   synthetic anomalies on normal images; noise: the smooth fields that they are made of
"""
