"""Cameras of a line's PC: `onegauge watch --source` has their frames in the folder it watches.

watching    the command: a camera and the folder beside each other
grabber     the thread: at each moment a frame, through the gate, into the folder
trigger     the moments: at an interval, or told by lines of text or by the camera's input
source      what a camera is to the others
url         which kind of camera a URL means
stream      a live stream or a USB camera, by OpenCV: always the newest frame
freshness   whether a frame has just come, or has waited somewhere
recording   a file of video, frame by frame
genicam     a GenICam camera: triggered, and its pixels
aravis      the functions of the library Aravis
quality     whether a frame is worth to be inspected
frames      the folder: files, their names, and how many wait
metrics     what Prometheus gets to know
errors      how it fails
"""
