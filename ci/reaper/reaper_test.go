package reaper

import (
	"bufio"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOrphansAreEndedToo(t *testing.T) {
	if err := Adopt(); err != nil {
		t.Fatal(err)
	}
	// The shell ends at once, and its grandchild is in a session of its own.
	cmd := exec.Command("sh", "-c", "setsid -f sh -c 'echo $$; exec sleep 1000'")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	orphan, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	EndAll()
	if err := unix.Kill(orphan, 0); err != unix.ESRCH {
		t.Errorf("kill(%d, 0) of the orphan = %v, want %v", orphan, err, unix.ESRCH)
	}
	if left := descendants(); len(left) != 0 {
		t.Errorf("descendants() = %v after EndAll, want none", left)
	}
}
