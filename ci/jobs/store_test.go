package jobs

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gompirun/gompirun/ci/clustertest"
	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/store"
)

// damages are what disks and file systems do to files.
var damages = map[string]func([]byte) []byte{
	"torn":      func(b []byte) []byte { clear(b[len(b)/2:]); return b },
	"truncated": func(b []byte) []byte { return b[:len(b)/2] },
	"flipped":   func(b []byte) []byte { b[len(b)/3] ^= 4; return b },
}

// stopped is a job on h1 that was checkpointed twice and ended.
func (s *site) stopped() {
	s.t.Helper()
	r := s.start(1, []string{"NAS_REPEAT=10000"}, "-np", "2", "--ckpt-dir", "ck", "--mpi", "openmpi", "openmpi/cg", "S")
	r.progress(2)
	s.checkpoint(1, "ck")
	r.progress(2)
	s.checkpoint(1, "ck", "--stop")
	if n := r.status(); n != 75 {
		s.t.Fatalf("the run that was stopped ended with %d, want 75", n)
	}
}

func TestDamagedCheckpointIsRefusedByNameAndTheIntactOneOffered(t *testing.T) {
	s := newSite(t, 1)
	s.stopped()
	for _, file := range []string{"gen/000002/manifest.json", "gen/000002/pod-0000.json", "gen/000002/pod-0000.pages", "packs/000002-0000-00.pack"} {
		for how, damage := range damages {
			t.Run(filepath.Base(file)+" "+how, func(t *testing.T) {
				s.rewrite(t, "ck/"+file, damage)
				s.refused(t, 76, []string{file, "gompirun restart ck@1"}, "restart", "ck")
				s.refused(t, 76, []string{file}, "verify", "ck")
				if n := s.ranks(1, "cg"); n != 0 {
					t.Errorf("after the refused restart h1 runs %d ranks", n)
				}
			})
		}
	}
	s.refused(t, 76, []string{"no complete checkpoint 17", "gompirun restart ck@2"}, "restart", "ck@17")
	s.refused(t, 0, []string{"intact"}, "verify", "ck")
	r := s.start(1, nil, "restart", "ck@1")
	r.progress(1)
}

func TestRestartThatCannotBeIsRefusedBeforeAnythingIsStarted(t *testing.T) {
	s := newSite(t, 1)
	s.stopped()
	t.Run("as root", func(t *testing.T) {
		cmd := s.RootCommand(1, clustertest.HomeOnHosts+"/gompirun", "restart", clustertest.HomeOnHosts+"/ck")
		out, _ := cmd.CombinedOutput()
		if n := cmd.ProcessState.ExitCode(); n != 76 || !strings.Contains(string(out), "restart it as mpi") {
			t.Errorf("restart as root = %d, want 76, and said:\n%s", n, out)
		}
	})
	t.Run("as another user", func(t *testing.T) {
		s.root(t, 1, "chmod 755 "+clustertest.HomeOnHosts)
		cmd := s.RootCommand(1, "setpriv", "--reuid=2001", "--regid=2001", "--clear-groups", "env", "-C", "/", clustertest.HomeOnHosts+"/gompirun", "restart", clustertest.HomeOnHosts+"/ck")
		out, _ := cmd.CombinedOutput()
		if n := cmd.ProcessState.ExitCode(); n != 76 || !strings.Contains(string(out), "permission denied") || !strings.Contains(string(out), "user") {
			t.Errorf("restart as another user = %d, want 76, and said:\n%s", n, out)
		}
	})
	t.Run("without a processor feature", func(t *testing.T) {
		s.alterImage(t, func(p *image.Pod) { p.CPU.Features = append(p.CPU.Features, "avx4096") })
		s.refused(t, 76, []string{"processor", "avx4096"}, "restart", "--dry-run", "ck@3")
		s.refused(t, 76, []string{"processor", "avx4096", "not restarted"}, "restart", "ck")
	})
	if n := s.ranks(1, "cg"); n != 0 {
		t.Errorf("after refused restarts h1 runs %d ranks", n)
	}
	s.refused(t, 0, []string{"everything a restart needs is there"}, "restart", "--dry-run", "ck@2")
}

// alterImage commits a generation that is the newest one but for its image.
func (s *site) alterImage(t *testing.T, change func(*image.Pod)) {
	t.Helper()
	st, err := store.Open(filepath.Join(s.Home(), "ck"))
	if err != nil {
		t.Fatal(err)
	}
	g, _, err := st.Latest(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	n, err := st.Begin()
	if err != nil {
		t.Fatal(err)
	}
	m := store.Manifest{Facts: g.Manifest.Facts}
	for _, kind := range []string{store.KindJSON, store.KindPages} {
		b, err := g.ReadImage(0, kind)
		if err != nil {
			t.Fatal(err)
		}
		if kind == store.KindJSON {
			var p image.Pod
			if err := json.Unmarshal(b, &p); err != nil {
				t.Fatal(err)
			}
			change(&p)
			if b, err = image.Encode(&p); err != nil {
				t.Fatal(err)
			}
		}
		fi, err := st.WriteImage(n, 0, kind, b)
		if err != nil {
			t.Fatal(err)
		}
		m.Files = append(m.Files, fi)
	}
	if _, err := st.Commit(n, m); err != nil {
		t.Fatal(err)
	}
	s.root(t, 1, "chown -R mpi: "+clustertest.HomeOnHosts+"/ck")
}

func TestJobGoesOnWithItsOwnProgramWhenTheFileWasReplaced(t *testing.T) {
	s := newSite(t, 1)
	s.stopped()
	path := filepath.Join(s.Home(), "openmpi", "cg")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(b, make([]byte, 5000)...), 0o755); err != nil {
		t.Fatal(err)
	}
	r := s.start(1, nil, "restart", "ck")
	r.said(`openmpi/cg.*the copy in the checkpoint will be used`)
	r.progress(2)
	// And its next checkpoint is as good.
	s.checkpoint(1, "ck", "--stop")
	if n := r.status(); n != 75 {
		t.Fatalf("the restarted run was stopped and ended with %d, want 75", n)
	}
	r = s.start(1, nil, "restart", "ck")
	r.progress(2)
}
