"""Plots of trajectories: what the lines are coloured by."""

import itertools

import numpy as np
from experiments import TrialRecipe, build_experiment
from matplotlib.collections import LineCollection

from harness.report.comparison import load_comparison
from harness.report.tracks import load_tracks
from harness.report.trajectory_plots import error_scale, plot_trajectories, top_view


def test_the_error_of_every_pose_is_seen_the_first_one_s_as_well(tmp_path):
    experiment = build_experiment(tmp_path, [TrialRecipe("corridor", "sensor", "a", noise=0.05)])
    tracks, _ = load_tracks(load_comparison([experiment]).groups)
    figure = plot_trajectories(tracks, top_view(tracks), error_scale(tracks))
    (lines,) = (each for each in figure.axes[0].collections if isinstance(each, LineCollection))
    errors = 100 * tracks[0].aligned.errors
    np.testing.assert_allclose(lines.get_array(), [max(pair) for pair in itertools.pairwise(errors)])
    assert errors[0] > errors[1], "else the first segment would show the second pose's error"
    assert lines.get_array()[0] == errors[0]
