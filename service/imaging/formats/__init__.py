"""The formats of images: each as it is in its files, refused or checked where Pillow would not.

jpeg, png, bmp   a file for each format
tiff             its tags, and whether a file is whole; tiff_samples reads what Pillow gets wrong
foreign          formats that are refused by name
decoder          what foreign decoders raise, as our own errors
"""
