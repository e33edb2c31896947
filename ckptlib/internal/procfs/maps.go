// Package procfs parses the files of /proc/PID that tell a checkpoint what a
// process is. It reads and changes nothing.
package procfs

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// VMA is one mapping as /proc/PID/smaps tells it.
type VMA struct {
	Start, End uint64
	Read       bool
	Write      bool
	Exec       bool
	Shared     bool
	Offset     uint64
	Dev        string // "fe:00"
	Inode      uint64
	Name       string // a path (escapes resolved), "[heap]" or ""
	Deleted    bool   // Name is a path that has been unlinked
	Flags      []string
	Swapped    bool   // some of it is swapped out; known with the flags
	HugePage   uint64 // bytes of a page of hugetlbfs, 0 for other memory; known with the flags
}

// Has tells whether the VmFlags hold a two-letter flag.
func (v *VMA) Has(flag string) bool {
	for _, f := range v.Flags {
		if f == flag {
			return true
		}
	}
	return false
}

// Maps reads the mappings of a process, with their VmFlags if flags is set:
// that makes the kernel walk the page tables, some 5 ms for each GiB.
func Maps(pid int, flags bool) ([]VMA, error) {
	name := "maps"
	if flags {
		name = "smaps"
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		return nil, err
	}
	var out []VMA
	var page uint64
	for len(b) > 0 {
		line, rest, _ := bytes.Cut(b, []byte{'\n'})
		b = rest
		if len(line) == 0 {
			continue
		}
		// A header begins with a lower-case hexadecimal address, a detail of smaps
		// with a capital letter.
		if c := line[0]; c >= 'A' && c <= 'Z' {
			if f, ok := bytes.CutPrefix(line, []byte("VmFlags:")); ok && len(out) > 0 {
				v := &out[len(out)-1]
				if v.Flags = strings.Fields(string(f)); v.Has("ht") {
					v.HugePage = page
				}
			} else if f, ok := bytes.CutPrefix(line, []byte("KernelPageSize:")); ok {
				kb, _, _ := bytes.Cut(bytes.TrimSpace(f), []byte{' '})
				n, _ := strconv.ParseUint(string(kb), 10, 64)
				page = n << 10
			} else if f, ok := bytes.CutPrefix(line, []byte("Swap:")); ok && len(out) > 0 {
				out[len(out)-1].Swapped = string(bytes.TrimSpace(f)) != "0 kB"
			}
			continue
		}
		v, err := parseVMA(string(line))
		if err != nil {
			return nil, fmt.Errorf("parse /proc/%d/%s: %w", pid, name, err)
		}
		out = append(out, v)
	}
	return out, nil
}

func parseVMA(line string) (v VMA, err error) {
	// The name begins after five fields and any number of blanks and may hold
	// blanks itself.
	f := make([]string, 0, 5)
	rest := line
	for range 5 {
		rest = strings.TrimLeft(rest, " ")
		i := strings.IndexByte(rest, ' ')
		if i < 0 {
			i = len(rest)
		}
		f = append(f, rest[:i])
		rest = rest[i:]
	}
	lo, hi, ok := strings.Cut(f[0], "-")
	if !ok || len(f[1]) != 4 {
		return v, fmt.Errorf("line %q is no mapping", line)
	}
	if v.Start, err = strconv.ParseUint(lo, 16, 64); err != nil {
		return v, err
	}
	if v.End, err = strconv.ParseUint(hi, 16, 64); err != nil {
		return v, err
	}
	v.Read, v.Write, v.Exec, v.Shared = f[1][0] == 'r', f[1][1] == 'w', f[1][2] == 'x', f[1][3] == 's'
	if v.Offset, err = strconv.ParseUint(f[2], 16, 64); err != nil {
		return v, err
	}
	v.Dev = f[3]
	if v.Inode, err = strconv.ParseUint(f[4], 10, 64); err != nil {
		return v, err
	}
	v.Name = strings.TrimLeft(rest, " ")
	if strings.HasPrefix(v.Name, "/") {
		v.Name, v.Deleted = strings.CutSuffix(v.Name, " (deleted)")
		v.Name = strings.ReplaceAll(v.Name, `\012`, "\n")
	}
	return v, nil
}
