package jobs

import (
	"os/exec"
	"strconv"
)

// gdbStack is the stack of a process's first thread, or why there is none.
func gdbStack(pid int) string {
	out, err := exec.Command("gdb", "-p", strconv.Itoa(pid), "-batch", "-ex", "bt").CombinedOutput()
	if err != nil {
		return "gdb: " + err.Error() + "\n"
	}
	return string(out)
}
