package mpi

import (
	"strings"

	"github.com/gompirun/gompirun/launcher/flags"
)

// yields are the settings by which ranks that wait for a message call
// sched_yield. Open MPI does so by itself only where there are more ranks than
// slots, and slots are what the user says. Debian's MPICH 4.0.2 is built without
// any yield (libmpich does not import sched_yield; MPIR_CVAR_POLLS_BEFORE_YIELD
// belongs to another device), and UCX has none in its progress.
var yields = map[flags.MPI][2]string{
	flags.OpenMPI: {"OMPI_MCA_mpi_yield_when_idle", "1"},
}

func setYield(env environment, run *flags.Run, family flags.MPI, caller environment) {
	if kv, ok := yields[family]; ok {
		fillIn(env, run, caller)(kv[0], kv[1])
	}
}

// Yields tells whether an environment says if ranks that wait give their
// processor up, and whether they do.
func Yields(family flags.MPI, environ []string) (said, yes bool) {
	for _, e := range environ {
		if name, value, _ := strings.Cut(e, "="); name != "" && name == yields[family][0] {
			return true, value == yields[family][1]
		}
	}
	return false, false
}
