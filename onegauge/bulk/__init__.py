"""Very many images → Parquet, on all cores or on many machines, by Ray: no gateway is needed.

bulk         the command `onegauge inspect --engine ray`
work         how images are decided on: by a published model, or by a gateway
pipeline     the stages on Ray, as wide as the cluster
source       which images
reading      the first stage: files → bytes and pixels
by_model     the second stage: pixels → rows, by a model in each process
by_gateway   the second stage: bytes → rows, by what answers at an address
batch        images on their way between the stages
row          what is told of an image
output       Parquet files, and which images are done
model        a version of a model as it travels
places       files of this machine, and of what fsspec reaches
progress     how far a run is
errors       how it fails
"""
