"""Run folder to figures and pictures: verification over all pairs, rank-1, ROC and score histograms."""
