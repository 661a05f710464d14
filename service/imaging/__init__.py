"""Encoded bytes → RGB pixels: one reader for uploads and for training images.

image     bytes → upright uint8 RGB of the model's size, or a problem that says what is wrong
depth     how many bits of its samples a camera fills, and samples of any depth as 8 bits
tiles     a large picture in overlapping tiles, and what is said of them as one
formats   what each format needs that Pillow does not do
"""
