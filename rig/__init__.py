"""What tests, benchmarks and the documentation run for real, and the pictures they send.

gateway_process   the gateway, as a plant runs it
container         the gateway's image, by buildah
tritonserver      a Triton Inference Server, by a wheel of PyPI
postgresql        a PostgreSQL, by the system's package
mosquitto         an MQTT broker, by the system's package
subscriber        a client of it that keeps what it hears
authority         makes keys and certificates
node_red          a Node-RED, by packages of npm
plc               a controller that others write to by Modbus
ray_cluster       a Ray cluster of several nodes on this machine
cameras           cameras of this machine: a stream, by GStreamer's rtsp_server, and a GigE camera
prometheus        a Prometheus with the project's rules, by the system's package
installed         other tools of PyPI, each in a folder of its own
once              what several processes need and one of them makes
address           a free one, and waiting until it answers
receiver          takes webhooks, or refuses them
small_disk        a disk that is soon full
publishing        a graph, published
pictures          small pictures, and files that only claim to be some
"""

from unittest import SkipTest


class Missing(SkipTest):
    """What is to be run cannot be had on this machine: a test that needs it is skipped."""
