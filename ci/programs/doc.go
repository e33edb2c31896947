// Package programs tests that programs which people use come back from a
// checkpoint: each runs in a terminal, is told something, is killed and
// restarted in another terminal, and asked what it was told. Those that are small
// are part of `make test`; `make test-programs` installs and runs all.
package programs
