"""The formats of images: each as it is in its files, refused or checked where Pillow would not."""
