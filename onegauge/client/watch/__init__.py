"""The command `onegauge watch`: a folder in which a camera drops files → decisions.

watch      the loop: what is due is sent, what comes back is written
arrivals   which pictures have come, have settled and are not done
changes    what the kernel tells of the folder
whole      whether a picture's file has all the bytes that its format announces
journal    the file of decisions, which is the memory of what is done
feed       what may bring the pictures, and knows more of them
rejects    the folder of what is not normal
"""
