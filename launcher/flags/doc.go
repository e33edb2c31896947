// Package flags reads the command line of gompirun into plain data. It knows
// the options of both mpirun families, Hydra's and Open MPI's, and gompirun's
// own; it touches neither files nor the network.
//
// The rules, where the families differ:
//
//   - One dash and two are the same for every option, and a value may follow
//     as the next word or behind "=": -np 4, --np 4, -np=4.
//   - A name is looked up as written, then without regard to case, so -N
//     (ranks per host) and -n (ranks) stay apart and -Hosts works.
//   - Options end at "--" or at the first word without a dash, which is the
//     program; what follows is the program's until a lone ":" begins the next
//     program (MPMD).
//   - An option that takes one value may be given once; lists add up. An
//     option for the whole job may stand before any program of an MPMD line,
//     and once more with the same value, but not with another.
//   - What is not known is refused by name, never skipped.
//
// A word in the first place that is a verb (see Verbs) is the verb. Anything
// else starts a run: ./restart is a program, and so is restart after -np 1.
package flags
