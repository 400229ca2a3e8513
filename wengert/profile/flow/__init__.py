"""How gradients flow: what reaches each op and each parameter, step after step, and where it stops."""
