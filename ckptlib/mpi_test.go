package ckptlib_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// nasBinary builds nothing: make nas does.
func nasBinary(t *testing.T, family, name string) string {
	t.Helper()
	p, err := filepath.Abs(filepath.Join("..", "bin", "nas", family, name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(p); err != nil {
		t.Fatalf("%v: run make nas first", err)
	}
	return p
}

// verified reads output until the verification, which must be right.
func (j *job) verified() {
	j.t.Helper()
	for {
		l := j.line()
		if strings.HasPrefix(l, " Verification") {
			if !strings.HasSuffix(l, "   SUCCESSFUL") {
				j.t.Fatalf("the job said %q", l)
			}
			return
		}
	}
}

// iterations waits for lines of progress.
func (j *job) iterations(n int) {
	j.t.Helper()
	for n > 0 {
		if strings.HasPrefix(j.line(), " Iteration") {
			n--
		}
	}
}

func mpirun(t *testing.T, family string, args ...string) []string {
	t.Helper()
	name := map[string]string{"openmpi": "mpirun.openmpi", "mpich": "mpiexec.hydra"}[family]
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%v: run ci/setup", err)
	}
	t.Setenv("OMPI_ALLOW_RUN_AS_ROOT", "1")
	t.Setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
	t.Setenv("OMPI_MCA_btl", "self,vader,tcp")
	t.Setenv("OMPI_MCA_pml", "ob1")
	t.Setenv("OMPI_MCA_rmaps_base_oversubscribe", "1")
	t.Setenv("HWLOC_COMPONENTS", "-gl,-opencl")
	t.Setenv("UCX_TLS", "self,tcp,sm")
	return append([]string{name}, args...)
}

func TestNASRunOnOneHostGoesOnAfterRestarts(t *testing.T) {
	for _, family := range []string{"openmpi", "mpich"} {
		t.Run(family, func(t *testing.T) {
			t.Setenv("NAS_REPEAT", "8")
			t.Setenv("NAS_PACE", "20")
			j := launch(t, mpirun(t, family, "-np", "2", nasBinary(t, family, "cg"), "S")...)
			for range 3 {
				j.iterations(10)
				j.checkpoint()
				j.iterations(5)
				j.restart()
			}
			j.verified()
		})
	}
}
