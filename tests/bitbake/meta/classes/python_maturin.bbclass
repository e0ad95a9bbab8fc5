# The recipe of the engine inherits it. Here nothing is compiled.
