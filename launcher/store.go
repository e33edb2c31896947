package launcher

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gompirun/gompirun/ckptlib/store"
	"github.com/gompirun/gompirun/launcher/flags"
	"github.com/gompirun/gompirun/launcher/rpc"
)

// setUpCheckpoints opens the checkpoint directory of a new job if the user asked
// for checkpoints. Otherwise it is made when the first one is asked for, so that
// jobs which never are checkpointed leave nothing behind.
func (j *Job) setUpCheckpoints(ctx context.Context, c flags.Checkpointing, common flags.Common) error {
	j.dir = j.absolute(c.CkptDir)
	control, err := listenControl(j.dir)
	switch {
	case errors.Is(err, errDirBusy) && !wanted(c, common):
		// Two jobs of the same program in one directory: the other one was first.
		j.say("checkpoints go to %s by default, which another running job uses; give this one a --ckpt-dir to make it checkpointable", j.dir)
		return nil
	case err != nil:
		return otherDir(err)
	}
	j.control = control
	if !wanted(c, common) {
		return nil
	}
	return j.openStore(ctx)
}

// wanted tells whether the user asked for checkpoints at the start.
func wanted(c flags.Checkpointing, common flags.Common) bool {
	return c.CkptInterval > 0 || c.CkptIntervalAuto || len(c.CkptOn) > 0 || common.Given["ckpt-dir"]
}

// openStore makes the store of a new job and looks whether every host sees it.
func (j *Job) openStore(ctx context.Context) (err error) {
	if j.control == nil {
		return fmt.Errorf("another running job uses %s: start this one with a --ckpt-dir of its own", j.dir)
	}
	_, serr := os.Lstat(j.dir)
	st, err := store.Open(j.dir)
	if errors.Is(err, store.ErrNoStore) {
		st, err = store.Create(j.dir)
	}
	if err != nil {
		return err
	}
	if err := j.lockStore(); err != nil {
		return otherDir(err)
	}
	defer func() {
		if err != nil && errors.Is(serr, os.ErrNotExist) {
			_ = os.RemoveAll(j.dir) // we made it, and no checkpoint is in it; the first error tells more
		}
	}()
	if err = unused(st, j.dir); err != nil {
		return err
	}
	if err = j.claimStore(ctx, st); err != nil {
		return otherDir(err)
	}
	j.use(st, 0)
	return nil
}

// claimStore makes the store this job's: its files say so, and every host has
// seen them there.
func (j *Job) claimStore(ctx context.Context, st *store.Store) error {
	err := j.lockStore()
	if err == nil {
		err = j.shareStore(ctx, st)
	}
	if err == nil {
		err = j.record.write(st)
	}
	j.claimed = err == nil
	return err
}

// otherDir adds what the user of a new job can do about its directory.
func otherDir(err error) error {
	return fmt.Errorf("%w\n  choose another directory for this job with --ckpt-dir", err)
}

// unused refuses a store in which another job has left checkpoints. One without
// any may be used again.
func unused(st *store.Store, dir string) error {
	list, err := st.Generations()
	if err != nil {
		return err
	}
	for _, g := range list {
		if g.Complete || g.Err != nil {
			return fmt.Errorf("%s holds checkpoints of an earlier job\n  resume that one with `gompirun restart %s`, remove the directory, or choose another with --ckpt-dir", dir, dir)
		}
	}
	return nil
}

// shareStore leaves word in the directory of where the job runs, by which every
// host also recognises the directory.
func (j *Job) shareStore(ctx context.Context, st *store.Store) error {
	here := j.fleet.here
	f := controlFile{
		Host: here.HostName, BootID: here.BootID, PID: here.PID, Socket: j.control.name,
		Secret: rand.Text(), Started: time.Now().UTC(),
	}
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	if err := writeControlFile(st.Dir(), b); err != nil {
		return err
	}
	j.control.file = filepath.Join(st.Dir(), controlName)
	return hostErrors(Barrier(ctx, j.agents, "check", func(ctx context.Context, a *Agent) error {
		return a.call(ctx, rpc.CheckDir, rpc.Dir{Path: st.Dir(), Mark: controlName, Content: string(b)}, nil)
	}))
}

// controlName is the file in the checkpoint directory that tells where the job
// runs.
const controlName = "control.json"

// controlFile is its content.
type controlFile struct {
	Host    string    `json:"host"`
	BootID  string    `json:"boot_id"`
	PID     int       `json:"pid"`
	Socket  string    `json:"socket"`
	Secret  string    `json:"secret"` // by which hosts recognise the directory
	Started time.Time `json:"started"`
}

// writeControlFile replaces the file as a whole. It need not survive a crash of
// the host, which the job would not either.
func writeControlFile(dir string, b []byte) error {
	f, err := os.CreateTemp(dir, controlName+".tmp-*")
	if err != nil {
		return fmt.Errorf("write to the checkpoint directory: %w", err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, controlName))
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the first error tells more
		return fmt.Errorf("write to the checkpoint directory: %w", err)
	}
	return nil
}

func readControlFile(dir string) (controlFile, error) {
	var f controlFile
	b, err := os.ReadFile(filepath.Join(dir, controlName))
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return f, fmt.Errorf("read %s: %w", filepath.Join(dir, controlName), err)
	}
	return f, nil
}
