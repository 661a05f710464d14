"""Export: a trained run → one ONNX graph → verified → published for Triton.

export_run        the steps in order
to_onnx           the gauge traced, with fixed names and a dynamic batch
precision         networks in fp16 or int8; rounding: weights to 8 bits
nearest           distances to memories in 8 bits
precision_effect  what that does to scores, decisions and AUROC
held_out          the images that the run was calibrated on
recalibration     a graph of smaller precision, calibrated on its own scores of them
session           a file in ONNX Runtime on the CPU
verify            the file against torch on real images; a disagreement is not published
tensorrt          for Triton on a GPU: the accelerator's options, or a plan
publish           config.pbtxt and the atomic version folder
errors            how it fails
"""

import onegauge.service  # noqa: F401  (tells ONNX Runtime and NVIDIA's libraries what they must not do)
