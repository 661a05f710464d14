"""What the gateway tells of itself.

metrics   Prometheus: of requests and images; model, records, sinks: of these
stopwatch how long a block takes
drift     whether p-values of normal production are still uniform, line by line
logs      a line a record, as text or JSON
tracing   spans for OpenTelemetry
"""
