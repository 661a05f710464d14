"""How good a run or a served model is on labelled images.

evaluate                   the command: whom it asks, and the table of figures
run, published, over_http  a run, a model of a repository or a gateway, asked
readings                   what they say of the images
metrics, pixels            AUROC and others by image and by pixel, pooled and by product
false_alarms               whether a false-alarm rate is kept
"""
