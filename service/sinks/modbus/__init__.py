"""Modbus TCP: lines as registers that controllers read."""
