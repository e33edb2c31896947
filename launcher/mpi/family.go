package mpi

import (
	"fmt"

	"github.com/gompirun/gompirun/launcher/flags"
)

// Detect looks at every program of a run and says which family starts it. The
// programs are returned in the order of the contexts. np is the number of
// ranks of the whole job, once it is known.
//
// A family asked for by --mpi is taken, unless a program is linked with the
// other one. Under auto the programs decide; where none of them is linked with
// an MPI (scripts, plain programs), one rank needs none, and for more the
// mpirun on PATH decides by its --version. Errors are *ProgramError,
// *LauncherError, or a sentence about programs that contradict each other.
func Detect(run *flags.Run, np int) (flags.MPI, []Program, error) {
	family, from := flags.MPINone, ""
	var programs []Program
	for _, c := range run.Contexts {
		p, err := Inspect(c.Program, c.Wdir)
		if err != nil {
			return "", nil, err
		}
		programs = append(programs, p)
		switch {
		case p.Family == flags.MPINone:
		case from == "":
			family, from = p.Family, c.Program
		case family != p.Family:
			return "", nil, fmt.Errorf("%s is linked with %s and %s with %s; one job has one MPI", from, title(family), c.Program, title(p.Family))
		}
	}
	switch asked := run.MPI; {
	case asked == flags.MPINone, asked == flags.MPIAuto || asked == "":
	case from != "" && family != asked:
		return "", nil, fmt.Errorf("--mpi %s was asked for, but %s is linked with %s; leave --mpi out", asked, from, title(family))
	default:
		return asked, programs, nil
	}
	switch {
	case run.MPI == flags.MPINone:
		family = flags.MPINone
	case from == "" && (np > 1 || len(run.Contexts) > 1):
		l, err := onPath()
		if err != nil {
			return "", nil, err
		}
		family = l.Family
	}
	return family, programs, nil
}

func title(f flags.MPI) string {
	if f == flags.OpenMPI {
		return "Open MPI"
	}
	return "MPICH"
}
