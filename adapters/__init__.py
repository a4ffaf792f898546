"""How frames reach a SLAM system and how its poses come back."""
