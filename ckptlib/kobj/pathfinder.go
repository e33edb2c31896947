package kobj

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// pathFinder looks for the path of an inode. The kernel has no call for that
// which an ordinary user may make, so it looks where a program that watches a
// file is likely to have found it.
type pathFinder struct {
	source *Source
	known  map[inode]string
	places []string // directories, likeliest first
	listed int      // how many of them have been listed
}

type inode struct {
	dev, ino uint64
}

// mostEntries bounds the look into one directory.
const mostEntries = 20000

// find returns a path in the pod that leads to what a watch is of.
func (p *pathFinder) find(w watchLine) (string, bool) {
	if p.known == nil {
		p.known = map[inode]string{}
		p.collect()
	}
	key := inode{w.dev, w.ino}
	if name, ok := p.known[key]; ok {
		return name, true
	}
	if name, ok := p.byHandle(w); ok {
		return name, true
	}
	// One level below: a file in the directory where the program works.
	for ; p.listed < len(p.places); p.listed++ {
		p.list(p.places[p.listed])
		if name, ok := p.known[key]; ok {
			return name, true
		}
	}
	return "", false
}

// collect takes in what the process names: its directories, open files, mapped
// files, arguments and environment, the directories above these, and the usual
// places.
func (p *pathFinder) collect() {
	proc := fmt.Sprintf("/proc/%d/", p.source.PID)
	cwd, _ := os.Readlink(proc + "cwd")
	exe, _ := os.Readlink(proc + "exe")
	names := []string{cwd, exe}
	if nums, err := descriptors(p.source.PID); err == nil {
		for _, n := range nums {
			name, _ := os.Readlink(fmt.Sprintf("%sfd/%d", proc, n))
			names = append(names, name)
		}
	}
	for _, file := range []string{"cmdline", "environ"} {
		text, _ := os.ReadFile(proc + file)
		for _, word := range bytes.Split(text, []byte{0}) {
			_, value, ok := strings.Cut(string(word), "=")
			if !ok {
				value = string(word)
			}
			if file == "cmdline" && !path.IsAbs(value) {
				value = path.Join(cwd, value)
			}
			names = append(names, strings.Split(value, ":")...)
		}
	}
	if maps, err := os.ReadFile(proc + "maps"); err == nil {
		for line := range strings.Lines(string(maps)) {
			if i := strings.IndexByte(line, '/'); i >= 0 {
				names = append(names, strings.TrimSpace(line[i:]))
			}
		}
	}
	names = append(names, "/tmp", "/var/tmp", "/dev/shm", "/etc", "/run", "/dev", "/dev/pts", "/var/run", "/proc", "/sys")
	for _, name := range names {
		if !path.IsAbs(name) {
			continue
		}
		for name = path.Clean(name); ; name = path.Dir(name) {
			if !p.add(name) || name == "/" {
				break
			}
		}
	}
}

// add takes in one path, and reports whether it was new.
func (p *pathFinder) add(name string) bool {
	var st unix.Stat_t
	if unix.Stat(p.source.inPod(name), &st) != nil {
		return true // its directory may be there all the same
	}
	key := inode{st.Dev, st.Ino}
	if _, ok := p.known[key]; ok {
		return false
	}
	p.known[key] = name
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		p.places = append(p.places, name)
	}
	return true
}

// list takes in the entries of a directory.
func (p *pathFinder) list(dir string) {
	f, err := os.Open(p.source.inPod(dir))
	if err != nil {
		return
	}
	defer f.Close()
	names, _ := f.Readdirnames(mostEntries)
	for _, name := range names {
		name = path.Join(dir, name)
		var st unix.Stat_t
		if unix.Lstat(p.source.inPod(name), &st) != nil {
			continue
		}
		if key := (inode{st.Dev, st.Ino}); p.known[key] == "" {
			p.known[key] = name
		}
	}
}

// byHandle asks the kernel, which answers to root, and since 6.11 to the owner
// of the mount's user namespace.
func (p *pathFinder) byHandle(w watchLine) (string, bool) {
	for _, name := range p.places {
		var st unix.Stat_t
		if unix.Stat(p.source.inPod(name), &st) != nil || st.Dev != w.dev {
			continue
		}
		mount, err := unix.Open(p.source.inPod(name), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		fd, err := openHandle(mount, w)
		_ = unix.Close(mount) // nothing was written to it
		if errors.Is(err, unix.EPERM) {
			return "", false
		}
		if err != nil {
			continue
		}
		found, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		_ = unix.Close(fd) // nothing was written to it
		if err == nil && unix.Lstat(p.source.inPod(found), &st) == nil && st.Ino == w.ino {
			return found, true
		}
	}
	return "", false
}
