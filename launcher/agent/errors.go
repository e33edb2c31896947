package agent

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/conn"
	"github.com/gompirun/gompirun/ckptlib/kobj"
	"github.com/gompirun/gompirun/ckptlib/pod"
	"github.com/gompirun/gompirun/ckptlib/store"
	"github.com/gompirun/gompirun/launcher/wire"
)

// classify gives an error the kind by which the coordinator decides what to do.
func classify(err error) error {
	if err == nil {
		return nil
	}
	var (
		retry      *kobj.RetryError
		halfClosed *conn.HalfClosedError
		exec       *pod.ExecError
		damaged    *store.DamagedError
	)
	switch {
	case errors.As(err, &retry), errors.As(err, &halfClosed):
		return &wire.Error{Kind: wire.KindRetry, Text: err.Error()}
	case errors.As(err, &damaged):
		return &wire.Error{Kind: wire.KindDamaged, Text: err.Error()}
	case errors.As(err, &exec):
		return &wire.Error{Kind: execKind(exec), Text: err.Error()}
	}
	return err
}

// execKind tells a program that is not there from one that cannot be executed,
// and both from a directory.
func execKind(e *pod.ExecError) string {
	switch {
	case e.Op != "execute":
		return wire.KindBadDir
	case errors.Is(e.Err, unix.ENOENT), errors.Is(e.Err, unix.ENOTDIR):
		return wire.KindMissing
	}
	return wire.KindNotExec
}

// tooMany adds a remedy where this process ran out of descriptors: electing makes one
// of each of the job's open files, 16 000 where 128 ranks of one host are connected all
// with all.
func tooMany(err error) error {
	var limit unix.Rlimit
	if !errors.Is(err, unix.EMFILE) || unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return err
	}
	return fmt.Errorf("%w\n  the agent needs a descriptor for each open file and socket of the job on this host, and may have %d: raise the limit (ulimit -n), or use more hosts", err, limit.Cur)
}
