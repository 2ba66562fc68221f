"""``init_from``: a training that starts from the weights of a trained model."""
