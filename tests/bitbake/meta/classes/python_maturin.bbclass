# The recipe of the engine inherits it. Here nothing is compiled.

oe_cargo_fix_env () {
	export ZSTD_SYS_USE_PKG_CONFIG=1
}
