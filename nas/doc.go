// Package nas holds the NAS Parallel Benchmarks, written anew in C11 with MPI,
// and the tests that run them. The C sources are in src, since cmd/go refuses
// them in a package without cgo; nas.mk builds them, for each MPI that is
// installed. README.md tells which there are and how to use them.
package nas
