// Package jobs tests gompirun as its users have it: the built binary, real MPI
// jobs, test hosts with OpenSSH between them, an ordinary user.
package jobs
