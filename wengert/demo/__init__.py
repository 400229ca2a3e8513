"""The main job on real input: a fit of an ecological model, and a small classifier. `wengert demo` runs both."""
