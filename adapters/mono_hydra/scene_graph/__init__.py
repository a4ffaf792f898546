"""The layered 3D scene graph of a metric-semantic map: objects, places, rooms, building."""
