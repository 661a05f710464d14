"""How decisions reach a plant: brokers, hooks and controllers, while decisions go on.

sinks      the room's front: takes decisions, tells what becomes of them, has the off switches
table      the file of settings, checked at start
settings   what the settings of all sinks have in common
event      a decision as a CloudEvent
choice     which decisions a sink gets, and how many of them
sink       what waits for one sink, and the thread that has it brought
delivery   brings events to a wire, or puts them by
carrier    has a wire carry them, in a thread of its own
wire       what a way to a plant offers
webhook    one by HTTP
mqtt/      one by a broker

station    what a controller sees of a line, and the answer to its trigger
stations   those of the lines that a server shows
serving    a server for controllers, in a thread with an event loop
seldom     what the libraries of servers log
modbus/    one by Modbus TCP, which controllers read
opcua/     one by OPC UA, which controllers and SCADA read

errors     how it fails

Nothing here is loaded where there are no sinks.
"""
