"""Published data sets to train on: each module reads one, from the files that its authors give out."""
