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
	{"user", "user"},
	{"pid", "pid"},
	{"pid_for_children", "pid"},
	{"mnt", "mnt"},
	{"ipc", "ipc"},
	{"uts", "uts"},
	{"net", "net"},
	{"cgroup", "cgroup"},
	{"time", "time_for_children"},
	{"time_for_children", "time_for_children"},
}

// domain is what every process of the pod must have: a namespace of each kind,
// by the name of the file in /proc.
type domain map[string]string

// domainOf reads the namespaces in which the children of a pod's init are born.
func domainOf(init int) (domain, error) {
	d := domain{}
	for _, ns := range namespaces {
		to, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", init, ns.of))
		if errors.Is(err, os.ErrNotExist) {
			continue // this kernel has none of the kind
		}
		if err != nil {
			return nil, err
		}
		d[ns.own] = to
	}
	return d, nil
}

// left says what a process has left of the pod's domain and of its root
// directory, and what to do; "" if nothing.
func (d domain) left(t *Task) (string, error) {
	for _, ns := range namespaces {
		pods, ok := d[ns.own]
		if !ok {
			continue
		}
		own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", t.Lead, ns.own))
		if err != nil {
			return "", err
		}
		if own != pods {
			kind, _, _ := strings.Cut(own, ":")
			return "is in a " + kind + " namespace of its own (a container or sandbox), which cannot be checkpointed: " +
				"run gompirun inside of the container, or the program without its sandbox", nil
		}
	}
	root, err := os.Readlink(fmt.Sprintf("/proc/%d/root", t.Lead))
	if err != nil {
		return "", err
	}
	if root != "/" {
		return "has another root directory (chroot), " + root + ", which cannot be checkpointed: run gompirun inside of it", nil
	}
	return "", nil
}
