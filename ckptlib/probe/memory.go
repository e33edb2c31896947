package probe

import (
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// fresh is how long an answer of MemoryLeft stays good.
const fresh = 20 * time.Millisecond

var memoryLeft struct {
	sync.Mutex
	at   time.Time
	left uint64
	ok   bool
}

// MemoryLeft is how many bytes of memory processes of this host may still take
// before the kernel has to look for some to end: of the host's (MemAvailable of
// proc(5)) and of every control group (cgroup v2, memory.max) that this process
// is in. ok is false where the kernel does not tell. It may be asked often.
func MemoryLeft() (left uint64, ok bool) {
	m := &memoryLeft
	m.Lock()
	defer m.Unlock()
	if time.Since(m.at) < fresh {
		return m.left, m.ok
	}
	m.at = time.Now()
	m.left, m.ok = field("/proc/meminfo", "MemAvailable:")
	m.left <<= 10 // it is in kB
	if own, found := ownGroup(); m.ok && found {
		for dir := own; dir != "/" && dir != "."; dir = path.Dir(dir) {
			if n, limited := groupLeft("/sys/fs/cgroup" + dir); limited {
				m.left = min(m.left, n)
			}
		}
	}
	return m.left, m.ok
}

// ownGroup is the control group of this process, by cgroup v2.
func ownGroup() (dir string, ok bool) {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", false
	}
	for line := range strings.Lines(string(b)) {
		if dir, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return dir, true
		}
	}
	return "", false
}

// groupLeft is what a control group may still take. Pages of files that nobody
// has used lately are given back first.
func groupLeft(dir string) (left uint64, limited bool) {
	limit, ok := number(dir + "/memory.max")
	if !ok {
		return 0, false // "max", or no such file
	}
	used, ok := number(dir + "/memory.current")
	if !ok {
		return 0, false
	}
	files, _ := field(dir+"/memory.stat", "inactive_file")
	used -= min(files, used)
	return limit - min(used, limit), true
}

func number(file string) (uint64, bool) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil
}

// field reads the number after a word at the beginning of a line.
func field(file, name string) (uint64, bool) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == name {
			n, err := strconv.ParseUint(f[1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
