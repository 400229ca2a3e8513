"""Memory before anything runs: what a function will hold, eagerly and compiled."""

from wengert.profile.footprint.prediction.predict import predict_memory as predict_memory
