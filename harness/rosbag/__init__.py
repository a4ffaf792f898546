"""What a SLAM system that runs elsewhere is given, as a ROS 2 bag, and the trajectory that comes back."""
