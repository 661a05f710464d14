"""What becomes of an answer besides its way to the client: a record, and perhaps the picture.

records     the room's front: takes answers, lets go, and finds them again
recorder    the thread that writes what waits, or puts it by
queue       what waits for it, within bounds
entry       an answer on its way to the database
store       the database and the pictures, once they are reached
apart       a thread for what may never return
contact     how long to leave alone what could not be reached
spool       what was put by, on disk
criteria    the criterion that a person saved
retention   lets old records go
evidence    a kept picture as a browser may show it

Nothing here is loaded where records are off.
"""
