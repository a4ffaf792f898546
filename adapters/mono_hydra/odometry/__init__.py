"""RGB-D(-inertial) odometry: where the camera is, frame by frame, without any loop closed."""
