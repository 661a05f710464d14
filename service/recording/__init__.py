"""What becomes of an answer besides its way to the client: a record, and perhaps the picture.

records     the room's front: takes answers, lets go, and finds them again
recorder    what waits, and the thread that has it written
writer      writes what the thread has, or puts it by
entry       a decision on its way to the database
store       the database and the pictures, once they are reached
criteria    the criterion that a person saved
retention   lets old records go
evidence    a kept picture as a browser may show it

Nothing here is loaded where records are off.
"""
