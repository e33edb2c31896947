package launcher

import (
	"context"
	"path/filepath"

	"github.com/gompirun/gompirun/launcher/flags"
	"github.com/gompirun/gompirun/launcher/mpi"
	"github.com/gompirun/gompirun/launcher/rpc"
	"github.com/gompirun/gompirun/launcher/wire"
)

// checkProgram looks whether every host can execute the program. Several
// programs need not be on all hosts: of those the native launcher tells.
func (j *Job) checkProgram(ctx context.Context, r *flags.Run, programs []mpi.Program) error {
	if len(programs) != 1 {
		return nil
	}
	dir := r.Contexts[0].Wdir
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(j.env.Dir, dir)
	}
	err := Barrier(ctx, j.agents, "check", func(ctx context.Context, a *Agent) error {
		return a.call(ctx, rpc.CheckProgram, rpc.File{Path: programs[0].Path, Dir: dir}, nil)
	})
	switch wire.KindOf(err) {
	case wire.KindMissing:
		return withStatus(StatusNotFound, "%w\n  copy it there, or put it on a file system that all hosts share", hostErrors(err))
	case wire.KindNotExec:
		return &StatusError{StatusNotExec, hostErrors(err)}
	}
	return hostErrors(err)
}
