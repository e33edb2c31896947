package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A host says where a run was, and how busy that was: absolute times depend on
// both.
type host struct {
	Name       string    `json:"name"`
	Kernel     string    `json:"kernel"`
	CPU        string    `json:"cpu"`
	CPUs       int       `json:"cpus"`
	MemoryMiB  int       `json:"memory_mib"`
	FileSystem string    `json:"file_system"` // that checkpoints went to
	Date       time.Time `json:"date"`        // UTC, of the beginning
	LoadBefore string    `json:"load_before"` // over 1, 5 and 15 minutes
	LoadAfter  string    `json:"load_after"`
}

func describeHost(dir string) host {
	h := host{CPUs: runtime.NumCPU(), CPU: cpuModel(), FileSystem: fileSystem(dir), Date: time.Now().UTC(), LoadBefore: loadAverage()}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		h.Name, h.Kernel = unix.ByteSliceToString(u.Nodename[:]), unix.ByteSliceToString(u.Release[:])
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		h.MemoryMiB = int(info.Totalram * uint64(info.Unit) >> 20)
	}
	return h
}

func (h host) String() string {
	return fmt.Sprintf("Host %s: %d × %s, %d MiB, Linux %s, checkpoints on %s; %s; load average %s before, %s after.",
		h.Name, h.CPUs, h.CPU, h.MemoryMiB, h.Kernel, h.FileSystem, h.Date.Format("2006-01-02 15:04 UTC"), h.LoadBefore, h.LoadAfter)
}

func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	f := strings.Fields(string(b))
	if err != nil || len(f) < 3 {
		return "unknown"
	}
	return strings.Join(f[:3], " ")
}

func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown CPU"
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if key, value, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// fileSystem names the type of the file system that dir is on, by its entry in
// the table of mounts with the longest path.
func fileSystem(dir string) string {
	f, err := os.Open("/proc/self/mounts")
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	best, kind := 0, "unknown"
	for s := bufio.NewScanner(f); s.Scan(); {
		w := strings.Fields(s.Text())
		if len(w) < 3 || len(w[1]) < best {
			continue
		}
		if w[1] == "/" || dir == w[1] || strings.HasPrefix(dir, w[1]+"/") {
			best, kind = len(w[1]), w[2]
		}
	}
	return kind
}
