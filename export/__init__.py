"""Export: a trained run → one ONNX graph → verified → published for Triton.

export_run  the steps in order
to_onnx     the gauge traced, with fixed names and a dynamic batch
verify      the file against torch on real images; a disagreement is not published
repository  config.pbtxt and the atomic version folder
"""
