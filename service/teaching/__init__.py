"""From what persons marked to another version of the model, which is tried, served, taken back.

teacher      the room's front: has a proposal made, tried, served, rolled back
command      a subcommand of `onegauge` in a process of its own
material     pictures of the records in a folder, as `onegauge add` reads them
replay       what another version decides on the pictures that were kept
looks        pictures grouped by how they look

Nothing here is loaded where records are off. Models are changed by the command line alone, in
processes of their own: a gateway imports no teaching.
"""
