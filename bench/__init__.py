"""Measurements: each file here is a command, `python -m bench.NAME --help`.

of the gateway
    latency         what it adds to a request that is alone
    hotpath         what it takes of a core for an image, beside the bare loop
    flame           where the time of an image goes, drawn
    throughput      images a second beside the limit of the machine and beside peers
    recording       what keeping records costs
    sinks           what telling a plant of each decision costs
    saturation      latency against load, and three times as much as it can do
    overload        what is left of its best when more is asked than it can do
    formats         images a second by size and format, and what decoding costs
    decoding        what decoding costs beside Pillow's full decoding
    triton          the gateway in front of Triton beside Triton alone
    bulk            very many images by Ray, beside a gateway and the bare loop
    records         what is asked of a million inspections, on both databases
    start           from the command to the first answer, and memory under load
    soak            full load for long, with broken images among the good
of cameras
    frames          what the gate of a camera refuses, of normal and of spoilt pictures
    frame_files     what the file of a frame costs, and what JPEG does to scores
of models
    runtimes        ONNX Runtime and OpenVINO on a published model
    batching        whether it pays to join requests into batches
    graph           where the time of a graph goes
    roofline        what a core does of what it can for a graph, drawn
    gpu             what a GPU makes of a gauge, with ONNX Runtime, torch, TensorRT and Triton
    detectors       size and cost of each detector
    references      what an inspection costs with up to 100,000 references
    training        what a training takes beside the bare loop over its images
    coreset         choosing PatchCore's memory bank
    anomalib        the same detectors in anomalib and here
    whole_line      training on all images of a line in anomalib and here
of the method
    promise         false alarms in random divisions of a run's own normal images
    products        whether a form holds on lines of some of the products
    robustness      false alarms where training images are not as they should be
    recalibration   what mends a gauge in other light
    succession      products taught one after another beside all at once
    reviewing       a line before and after what was taught on the review page
    pixel_metrics   time and memory of the metrics by pixel
of all
    goals           what is to be reached beside what is: the table of `make bench`
    plots           the newest figures, drawn for the documentation

`support` is what they share, `peers` are the servers beside which the gateway is measured, and
`results` keeps their figures.
"""
