package proc

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// namespaces are those that a process may leave (unshare(2), setns(2)), as /proc
// names them, with those of the init in which its children are born.
var namespaces = []struct{ own, of string }{
	{"user", "user"}, {"pid", "pid"}, {"pid_for_children", "pid"}, {"mnt", "mnt"}, {"ipc", "ipc"}, {"uts", "uts"}, {"net", "net"}, {"cgroup", "cgroup"},
	{"time", "time_for_children"}, {"time_for_children", "time_for_children"},
}

// outside says what a process has left of the pod's domain and of its root
// directory, and what to do; "" if nothing.
func (ts *Tasks) outside(t *Task) (string, error) {
	for _, ns := range namespaces {
		pods, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", ts.Init, ns.of))
		if errors.Is(err, os.ErrNotExist) {
			continue // this kernel has none of the kind
		}
		if err != nil {
			return "", err
		}
		own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", t.PID, ns.own))
		if err != nil {
			return "", err
		}
		if own != pods {
			kind, _, _ := strings.Cut(own, ":")
			return "is in a " + kind + " namespace of its own (a container or sandbox), which cannot be checkpointed: " +
				"run gompirun inside of the container, or the program without its sandbox", nil
		}
	}
	root, err := os.Readlink(fmt.Sprintf("/proc/%d/root", t.PID))
	if err != nil {
		return "", err
	}
	if root != "/" {
		return "has another root directory (chroot), " + root + ", which cannot be checkpointed: run gompirun inside of it", nil
	}
	return "", nil
}
