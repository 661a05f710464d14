"""How something leaves for elsewhere while decisions go on: records, and the sinks of a plant.

queue     what waits for it, within bounds
apart     a thread for what may never return
contact   how long to leave alone what could not be reached
spool     what was put by, on disk
"""
