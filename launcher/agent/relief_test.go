package agent

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestTimersMayBeLateUnlessTheProgramHasChosen(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: CAP_SYS_NICE is asked for the timers of another process")
	}
	cmd := exec.Command("sleep", "100")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	file := fmt.Sprintf("/proc/%d/timerslack_ns", cmd.Process.Pid)
	for _, step := range []struct {
		chosen, want string
		easy         bool
	}{
		{"50000", "1000000", true},
		{"", "1000000", true},
		{"", "50000", false},
		{"", "50000", false},
		{"77", "77", true},
		{"77", "77", false},
		{"3000000", "3000000", true},
	} {
		if step.chosen != "" {
			if err := os.WriteFile(file, []byte(step.chosen), 0); err != nil {
				t.Fatal(err)
			}
		}
		setSlack(cmd.Process.Pid, step.easy)
		b, err := os.ReadFile(file)
		if got := strings.TrimSpace(string(b)); err != nil || got != step.want {
			t.Errorf("the slack is %s (%v) after %+v", got, err, step)
		}
	}
}
