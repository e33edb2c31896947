package pod_test

import (
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/gompirun/gompirun/ckptlib/internal/testuser"
	"github.com/gompirun/gompirun/ckptlib/pod"
)

func TestMain(m *testing.M) {
	pod.MaybeInit()
	os.Exit(m.Run())
}

func start(t *testing.T, c pod.Config) *pod.Pod {
	t.Helper()
	p, err := pod.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// run spawns a shell command and returns what it printed and how it ended.
func run(t *testing.T, p *pod.Pod, script string) (string, pod.Exit) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	pid, err := p.Spawn(pod.Command{
		Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin", "X=a b"}, Dir: "/usr",
		Stdio: [3]int{int(null.Fd()), int(w.Fd()), int(w.Fd())},
	})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	for e := range p.Exits {
		if e.PID == pid {
			return string(b), e
		}
	}
	t.Fatalf("the pod ended before its process %d", pid)
	return "", pod.Exit{}
}

func TestSpawnedProgramSeesItsPodAndItsExitIsReported(t *testing.T) {
	testuser.Again(t)
	p := start(t, pod.Config{HostName: "podhost", LastPID: 4000})
	out, e := run(t, p, `echo $$ $(hostname) $PWD "$X" $(ls /dev/shm | wc -l) $(ls /proc | grep -c '^[0-9]') $(ls /proc/$$/fd | wc -w) $(grep CapEff /proc/self/status); exit 7`)
	f := strings.Fields(out)
	// The Go runtime that made the pod may have taken a number or two for threads.
	pid, err := strconv.Atoi(f[0])
	if len(f) < 8 || err != nil || pid <= 4000 || pid > 4010 || f[1] != "podhost" || f[2] != "/usr" || f[3] != "a" || f[5] != "0" {
		t.Errorf("program in the pod printed %q", out)
	}
	if e.Status.ExitStatus() != 7 {
		t.Errorf("status = %v, want 7", e.Status.ExitStatus())
	}
	if os.Geteuid() != 0 && f[len(f)-1] != "0000000000000000" {
		t.Errorf("an ordinary user's process has capabilities %s", f[len(f)-1])
	}
	// The init had no child for a while: it must reap the next one, too.
	if _, e := run(t, p, `kill -9 $$`); e.Status.Signal() != syscall.SIGKILL {
		t.Errorf("status = %#x, want killed", e.Status)
	}
}

func TestSpawnedProgramBlocksNoSignals(t *testing.T) {
	testuser.Again(t)
	p := start(t, pod.Config{HostName: "x"})
	if out, e := run(t, p, `exec grep SigBlk /proc/self/status`); out != "SigBlk:\t0000000000000000\n" {
		t.Errorf("the program has %q (status %#x)", out, e.Status)
	}
}

func TestPodClockIsShifted(t *testing.T) {
	testuser.Again(t)
	p := start(t, pod.Config{HostName: "x", Clock: &[2]int64{3600e9 + 5, 7200e9}})
	out, _ := run(t, p, `cat /proc/uptime; cat /proc/self/timens_offsets`)
	if !strings.Contains(out, "3600") || !strings.Contains(out, "7200") {
		t.Errorf("offsets are %q", out)
	}
}

func TestSpawnOfAMissingProgramSaysSo(t *testing.T) {
	p := start(t, pod.Config{HostName: "x"})
	null, _ := os.Open(os.DevNull)
	defer null.Close()
	n := int(null.Fd())
	_, err := p.Spawn(pod.Command{Path: "/no/such", Args: []string{"such"}, Dir: "/", Stdio: [3]int{n, n, n}})
	if err == nil || !strings.Contains(err.Error(), "/no/such: no such file") {
		t.Errorf("Spawn = %v, want no such file", err)
	}
	if out, _ := run(t, p, "echo still here"); out != "still here\n" {
		t.Errorf("after a failed spawn the pod printed %q", out)
	}
}
