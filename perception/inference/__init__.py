"""What every network needs around it: images in, predictions out, a device and a precision."""
