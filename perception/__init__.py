"""What a frame means: perception modules behind one small interface."""
