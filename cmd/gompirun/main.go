// Command gompirun runs MPI jobs over SSH, checkpoints them while they run and
// restarts them on the same hosts or on others. gompirun --help tells how.
package main

import (
	"os"
	"path/filepath"

	"github.com/gompirun/gompirun/ckptlib/pod"
	"github.com/gompirun/gompirun/launcher/agent"
	"github.com/gompirun/gompirun/launcher/cli"
)

func main() {
	pod.MaybeInit() // in a new process of a pod it does not return
	if len(os.Args) > 0 && filepath.Base(os.Args[0]) == agent.ShimName {
		os.Exit(agent.ShimMain(os.Args[1:], os.Stderr))
	}
	os.Exit(cli.OS())
}
