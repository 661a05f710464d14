"""A camera of GStreamer's RTSP server, for the Python that Debian's bindings of it are made for.

Its address is `rtsp://user:secret@127.0.0.1:PORT/line`. The picture is H.264, 320 × 240, 25 times a
second: 32 fields, white where the time in milliseconds has a bit, so that who sees it knows how old
it is. `still` shows no time, and of `damaged` some frames never come.

usage: python3 rig/rtsp_server.py PORT clock|still|damaged
"""

import sys
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

WIDTH, HEIGHT, COLUMNS, ROWS, PER_SECOND = 320, 240, 8, 4, 25
PIPELINE = (
    "( appsrc name=pictures is-live=true format=time do-timestamp=true "
    f"caps=video/x-raw,format=GRAY8,width={WIDTH},height={HEIGHT},framerate={PER_SECOND}/1 "
    "! videoconvert ! openh264enc gop-size=25 ! h264parse {damage} "
    "! rtph264pay name=pay0 config-interval=1 )"
)


def picture(milliseconds: int) -> bytes:
    fields = [b"\xeb" if milliseconds >> bit & 1 else b"\x10" for bit in range(COLUMNS * ROWS)]
    rows = (fields[start : start + COLUMNS] for start in range(0, len(fields), COLUMNS))
    lines = (b"".join(field * (WIDTH // COLUMNS) for field in row) for row in rows)
    return b"".join(line * (HEIGHT // ROWS) for line in lines)


class Camera(GstRtspServer.RTSPMediaFactory):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def do_create_element(self, _):
        damage = "! identity drop-probability=0.3" if self.kind == "damaged" else ""
        return Gst.parse_launch(PIPELINE.format(damage=damage))

    def do_configure(self, media) -> None:
        pictures = media.get_element().get_child_by_name("pictures")

        def push() -> bool:
            shown = 0x5A5A5A5A if self.kind == "still" else int(time.monotonic() * 1000)
            # refused while nobody watches, or just begins to
            pictures.emit("push-buffer", Gst.Buffer.new_wrapped(picture(shown)))
            return True

        timer = GLib.timeout_add(1000 // PER_SECOND, push)
        media.connect("unprepared", lambda _: GLib.source_remove(timer))


def only_with_password() -> GstRtspServer.RTSPAuth:
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "user")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic("user", "secret"), token)
    return auth


def main(port: str, kind: str) -> None:
    Gst.init(None)
    camera = Camera(kind)
    camera.set_shared(True)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("user", "media.factory.access", True)
    permissions.add_permission_for_role("user", "media.factory.construct", True)
    camera.set_permissions(permissions)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    server.set_auth(only_with_password())
    server.get_mount_points().add_factory("/line", camera)
    assert server.attach(None), f"port {port} is taken"
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(*sys.argv[1:])
