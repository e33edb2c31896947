package launcher

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lockName is the file in the checkpoint directory that the coordinator of the
// job keeps locked for its life.
const lockName = "lock"

// A storeLock keeps a second coordinator, on any host, out of a store. It is a
// lock of an open file description on the whole file: to a file system that is a
// POSIX lock, which NFS, Lustre (mounted with flock), GPFS and CephFS carry to
// all hosts, while flock(2) stays on the host with some of them. It goes with the
// coordinator, however that ends, and with its host.
type storeLock struct {
	file      *os.File // nil: not held
	exclusive bool
}

// take takes the lock; the error is errDirBusy if somebody else has it. A store
// that cannot be written to can only be locked against those who could write:
// that is a shared lock, or none where the file is missing.
func (l *storeLock) take(dir string) error {
	if l.exclusive {
		return nil
	}
	path, kind := filepath.Join(dir, lockName), int16(unix.F_WRLCK)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		kind = unix.F_RDLCK
		if f, err = os.Open(path); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	if err != nil {
		return err
	}
	l.release() // a shared lock would be in the way of our own
	err = unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: kind})
	if err != nil {
		_ = f.Close() // nothing was written
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			return errDirBusy
		}
		return &os.PathError{Op: "lock", Path: path, Err: err}
	}
	l.file, l.exclusive = f, kind == unix.F_WRLCK
	return nil
}

func (l *storeLock) release() {
	if l.file != nil {
		_ = l.file.Close() // nothing was written
	}
	l.file, l.exclusive = nil, false
}

// lockStore keeps other jobs out of the checkpoint directory. Where its file
// system has no locks that is left to the user.
func (j *Job) lockStore() error {
	err := j.control.lock.take(j.dir)
	if errors.Is(err, errDirBusy) {
		return lockedError(j.dir, j.fleet.here.HostName)
	}
	if err != nil {
		j.say("%v\n  nothing keeps this job from being restarted a second time while it runs", err)
	}
	return nil
}

// lockedError says which job has the lock, and what to do.
func lockedError(dir, here string) error {
	f, err := readControlFile(dir)
	if err != nil {
		return fmt.Errorf("%w: %s\n  end that job first", errDirBusy, dir) // it is about to start, or to end
	}
	at := ""
	if f.Host != here {
		at = "ssh " + f.Host + " "
	}
	return fmt.Errorf("%w: %s, process %d on host %s since %s\n"+
		"  end that job first: %sgompirun checkpoint --stop %s\n"+
		"  if that host is gone for good and the file system still keeps its lock: rm %s",
		errDirBusy, dir, f.PID, f.Host, f.Started.Local().Format("2006-01-02 15:04:05 MST"), at, dir, filepath.Join(dir, lockName))
}
