// Package testuser runs tests of root's a second time as an ordinary user, for
// whom the kernel says no more often. Only tests import it.
package testuser

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// id is a user and group that no host has.
const id = 2345

// patience ends a second run before go test ends the first, to see its output.
const patience = 80 * time.Second

// Again runs the test once more, at the same time, as an ordinary user, if this
// is root. The test binary is the program.
func Again(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The binary lies in a directory of root's: an open file can be executed by all.
	f, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/fd/3", "-test.run", "^"+t.Name()+"$", "-test.v", "-test.timeout", patience.String())
	cmd.ExtraFiles = []*os.File{f}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Start()
	_ = f.Close() // the child has its own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := cmd.Wait()
		said := fmt.Sprintf("as uid %d:\n%s", id, out.String())
		switch {
		// Not those of its subtests, which are indented.
		case err == nil && strings.Contains(said, "\n--- SKIP: "+t.Name()+" "):
		case err != nil || !strings.Contains(said, "\n--- PASS: "+t.Name()+" "):
			t.Errorf("%v %s", err, said)
		default:
			t.Log(said)
		}
	})
}
