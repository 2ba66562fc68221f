"""Optimizers and learning rate schedules of torch, and callbacks and loggers of Lightning."""
