package sshexec

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// An executable is a local file to be installed.
type executable struct {
	path     string
	size     int64
	modified time.Time
	hash     string   // SHA-256 in hex
	systems  []string // where it runs; none: anywhere, as far as we know
}

// executables remembers hashes: a job installs one file on many hosts.
type executables struct {
	mu    sync.Mutex
	known map[string]*executable // by path
}

// read returns the executable at path, which is hashed unless its size and
// time of change are those of the last time.
func (x *executables) read(path string) (*executable, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if e := x.known[path]; e != nil && e.size == info.Size() && e.modified.Equal(info.ModTime()) {
		return e, nil
	}
	e, err := hashExecutable(path, f)
	if err != nil {
		return nil, err
	}
	e.modified = info.ModTime()
	if x.known == nil {
		x.known = map[string]*executable{}
	}
	x.known[path] = e
	return e, nil
}

func hashExecutable(path string, f *os.File) (*executable, error) {
	hash := sha256.New()
	size, err := io.Copy(hash, f)
	if err != nil {
		return nil, err
	}
	if size == 0 {
		return nil, fmt.Errorf("%s is empty", path)
	}
	e := &executable{path: path, size: size, hash: hex.EncodeToString(hash.Sum(nil))}
	// What is no ELF file is a script, which runs anywhere.
	if x, err := elf.NewFile(f); err == nil {
		e.systems = systems[x.Machine]
		x.Close()
	}
	return e, nil
}

// systems has, for a machine, what `uname -s`/`uname -m` may say where its
// programs run; the first is its own name.
var systems = map[elf.Machine][]string{
	elf.EM_X86_64:    {"Linux/x86_64"},
	elf.EM_386:       {"Linux/i686", "Linux/i586", "Linux/i486", "Linux/i386", "Linux/x86_64"},
	elf.EM_AARCH64:   {"Linux/aarch64"},
	elf.EM_ARM:       {"Linux/armv7l", "Linux/armv6l", "Linux/armv8l", "Linux/aarch64"},
	elf.EM_PPC64:     {"Linux/ppc64le", "Linux/ppc64"},
	elf.EM_RISCV:     {"Linux/riscv64"},
	elf.EM_S390:      {"Linux/s390x"},
	elf.EM_LOONGARCH: {"Linux/loongarch64"},
}

func (e *executable) send(w io.Writer) error {
	f, err := os.Open(e.path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyN(w, f, e.size)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s became shorter while it was copied", e.path)
	}
	return err
}
