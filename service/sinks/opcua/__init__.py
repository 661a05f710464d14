"""OPC UA: lines as nodes that controllers and SCADA read."""
