package ckptlib_test

import (
	"os"
	"strings"
	"testing"

	"github.com/gompirun/gompirun/ckptlib/store"
)

func TestJobGoesOnFromTheLastCheckpointThatWasDelivered(t *testing.T) {
	j := launch(t, "sh", "-c", `n=0; while read x; do n=$((n+1)); echo "$n $x"; done`)
	stage := t.TempDir()
	j.options.Stage = stage
	staged := func() int {
		t.Helper()
		gen, c, _ := j.snapshot()
		_, err := c.Write()
		j.fail(c, err)
		if entries, err := os.ReadDir(stage); err != nil || len(entries) > 0 {
			t.Fatalf("the staging directory has names in it: %v, %v", entries, err)
		}
		if gen > 1 {
			return gen // its host dies here
		}
		r, err := c.Deliver()
		j.fail(c, err)
		_, err = j.store.Commit(gen, store.Manifest{Files: r.Files})
		j.fail(c, err)
		if len(r.Warnings) > 0 {
			t.Errorf("the checkpoint warns of %q", r.Warnings)
		}
		j.gen, j.newest, j.writer = gen, gen, r.Writer
		return gen
	}
	j.ask("a")
	staged()
	first := j.ask("b")
	gen := staged()
	if packs, err := os.ReadDir(j.store.Dir() + "/packs"); err != nil || len(packs) == 0 || strings.HasPrefix(packs[len(packs)-1].Name(), "000002") {
		t.Errorf("before the second checkpoint is delivered the store has %v, %v, want packs of the first alone", packs, err)
	}
	if _, err := j.store.Load(gen); err == nil {
		t.Errorf("checkpoint %d, which was not delivered, is complete", gen)
	}
	g, damaged, err := j.store.Latest(t.Context())
	if err != nil || damaged != nil || g.Manifest.Generation != 1 {
		t.Fatalf("the newest checkpoint is %v (%v, %v), want the first", g, damaged, err)
	}
	j.restart()
	if got := j.ask("b"); got != first {
		t.Errorf("after the restart the shell said %q, want %q", got, first)
	}
	j.options.Stage = ""
	j.checkpoint()
}
