package launcher

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gompirun/gompirun/launcher/flags"
)

func TestStoreHasOneCoordinatorAtATime(t *testing.T) {
	dir := t.TempDir()
	var a, b storeLock
	if err := a.take(dir); err != nil {
		t.Fatal(err)
	}
	if err := a.take(dir); err != nil {
		t.Errorf("taking it once more = %v, want nil", err)
	}
	if err := b.take(dir); !errors.Is(err, errDirBusy) {
		t.Errorf("the second coordinator's lock = %v, want %v", err, errDirBusy)
	}
	a.release()
	if err := b.take(dir); err != nil {
		t.Errorf("the lock after the first one's end = %v, want nil", err)
	}
}

// A file system without locks leaves it to the user, who is told.
func TestStoreThatCannotBeLockedIsUsedWithAWarning(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(lockName, filepath.Join(dir, lockName)); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	j := newJob(Env{Stdout: io.Discard, Stderr: &said}, flags.Common{})
	j.dir, j.control, j.fleet = dir, &control{}, &fleet{}
	if err := j.lockStore(); err != nil {
		t.Errorf("lockStore = %v, want a warning only", err)
	}
	j.stderr.flush(context.Background())
	if n := strings.Count(said.String(), "nothing keeps this job from being restarted a second time"); n != 1 {
		t.Errorf("the user was told %q, want one warning", said.String())
	}
}

func TestRefusalNamesTheJobThatRunsAndTheRemedy(t *testing.T) {
	dir := t.TempDir()
	if err := writeControlFile(dir, []byte(`{"host": "n7", "pid": 4711, "started": "2026-01-02T03:04:05Z"}`)); err != nil {
		t.Fatal(err)
	}
	var other storeLock
	if err := other.take(dir); err != nil {
		t.Fatal(err)
	}
	defer other.release()
	j := newJob(Env{Stdout: io.Discard, Stderr: io.Discard}, flags.Common{})
	j.dir, j.control, j.fleet = dir, &control{}, &fleet{}
	err := j.lockStore()
	for _, want := range []string{"process 4711 on host n7 since 20", "ssh n7 gompirun checkpoint --stop " + dir, "rm " + dir + "/lock"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("lockStore = %v, want %q in it", err, want)
		}
	}
}
