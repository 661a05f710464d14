"""MQTT: events below the topics of a broker."""
