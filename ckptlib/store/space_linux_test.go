package store

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// inNamespace runs the test again as a child that may mount, alone, and reports
// whether this is the child. It skips where users may not have namespaces.
func inNamespace(t *testing.T) bool {
	t.Helper()
	const mark = "STORE_TEST_NAMESPACE"
	if os.Getenv(mark) == t.Name() {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), mark+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
		t.Skipf("this host gives its users no namespaces: %v", err)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in a namespace: %v\n%s", err, out)
	}
	return false
}

// mountSmall gives the child a file system of so many bytes.
func mountSmall(t *testing.T, bytes int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func TestAFullDiskFailsTheCheckpointAndNotTheOneBefore(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	dir := mountSmall(t, 4<<20)
	s, err := Create(filepath.Join(dir, "ckpt"))
	if err != nil {
		t.Fatal(err)
	}
	p := pod{1: randomPages(1, 100)}
	g := commitPods(t, s, nil, WriterOptions{Lanes: 1}, p)

	gen := begin(t, s)
	w, err := s.NewWriter(gen, 5, nil, WriterOptions{Lanes: 2})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.AddPages(nil, randomPages(2, 2000))
	for _, want := range []string{packName(gen, 5, 0), "no space left", "free some space"} {
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), want) {
			t.Errorf("AddPages() = %v, want an error with %q", err, want)
		}
	}
	// The first error stays, although one page might fit.
	if _, again := w.AddPages(nil, randomPages(3, 1)); !errors.Is(again, syscall.ENOSPC) {
		t.Errorf("AddPages() again = %v, want %v", again, err)
	}
	if again := w.Finish(); !errors.Is(again, syscall.ENOSPC) {
		t.Errorf("Finish() = %v, want %v", again, err)
	}
	if _, err := NewTable().Build(w); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Build() = %v, want %v", err, syscall.ENOSPC)
	}
	if _, err := s.WriteImage(gen, 5, KindJSON, make([]byte, 4<<20)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("WriteImage() = %v, want %v", err, syscall.ENOSPC)
	}
	if err := w.Abort(); err != nil {
		t.Error(err)
	}
	if got := latest(t, s); got != 1 {
		t.Errorf("the newest generation is %d, want 1", got)
	}
	p.check(t, s, g, 0)
	// Abort made room: the next attempt succeeds.
	commitPods(t, s, nil, WriterOptions{}, pod{1: randomPages(4, 700)})
}

func TestCreateWhereNobodyMayWriteHasARemedy(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	dir := mountSmall(t, 1<<20)
	if err := os.Mkdir(filepath.Join(dir, "empty"), dirMode); err != nil {
		t.Fatal(err)
	}
	full := mountSmall(t, 4096)
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{
		filepath.Join(dir, "new"):   syscall.EROFS,
		filepath.Join(dir, "empty"): syscall.EROFS,
	} {
		_, err := Create(name)
		if !errors.Is(err, want) || !strings.Contains(err.Error(), "--ckpt-dir") {
			t.Errorf("Create(%s) = %v, want %v with a remedy", name, err, want)
		}
	}
	if err := os.WriteFile(filepath.Join(full, "f"), make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Create(filepath.Join(full, "ckpt"))
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free some space") {
		t.Errorf("Create on a full disk = %v, want %v with a remedy", err, syscall.ENOSPC)
	}
}
