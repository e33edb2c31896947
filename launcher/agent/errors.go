package agent

import (
	"errors"

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
