package sshexec

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// program writes a script that says who it is, padded to size bytes.
func program(t *testing.T, says string, size int) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	text := "#!/bin/sh\necho " + says + "\nexit\n"
	text += strings.Repeat("#", max(0, size-len(text)))
	if err := os.WriteFile(file, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

func inode(t *testing.T, file string) uint64 {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

func TestInstallCopiesOncePerContent(t *testing.T) {
	w := newWorld(t)
	s := w.sshd("ed25519")
	w.host("n1", s)
	h := w.dial("n1")
	file := program(t, "one", 3<<20)
	first, err := h.Install(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(first, s.cache+"/gompirun/") || filepath.Base(first) != "gompirun" {
		t.Errorf("installed as %s, want below %s", first, s.cache)
	}
	if out, _, _ := output(t, h, first); out != "one\n" {
		t.Errorf("the program says %q, want one", out)
	}
	for _, name := range []string{first, filepath.Dir(first), s.cache + "/gompirun"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v, want 0700", name, info.Mode())
		}
	}
	before := inode(t, first)
	second, err := h.Install(t.Context(), file)
	if err != nil || second != first || inode(t, first) != before {
		t.Errorf("second Install = %s, %v, inode %d, want %s, inode %d", second, err, inode(t, first), first, before)
	}
	// A file that is cut short, as a crash of the host may leave it, is mended.
	if err := os.Truncate(first, 10); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Install(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	if out, _, _ := output(t, h, first); out != "one\n" || inode(t, first) == before {
		t.Errorf("after the file was damaged the program says %q, want one, from a new file", out)
	}
	other, err := h.Install(t.Context(), program(t, "two", 0))
	if err != nil || other == first {
		t.Errorf("another program is installed as %s, %v, want another path than %s", other, err, first)
	}
}

func TestInstallsAtOnceAreHarmless(t *testing.T) {
	w := newWorld(t)
	s := w.sshd("ed25519")
	w.host("n1", s)
	file := program(t, "one", 2<<20)
	var wg sync.WaitGroup
	for range 2 {
		h := w.dial("n1")
		for range 3 {
			wg.Go(func() {
				path, err := h.Install(t.Context(), file)
				if err != nil {
					t.Error(err)
					return
				}
				if out, _, _ := output(t, h, path); out != "one\n" {
					t.Errorf("the program says %q, want one", out)
				}
			})
		}
	}
	wg.Wait()
	left, err := filepath.Glob(s.cache + "/gompirun/*/.*")
	if err != nil || len(left) > 0 {
		t.Errorf("temporary files are left: %q, %v", left, err)
	}
}

func TestInstallBelowCacheDirAndPastANoisyShell(t *testing.T) {
	w := newWorld(t)
	// Where a start-up file of the shell prints something, it comes first.
	w.host("n1", w.sshd("ed25519", `ForceCommand echo "Welcome to n1"; eval "$SSH_ORIGINAL_COMMAND"`))
	opt := w.options()
	opt.CacheDir = filepath.Join(t.TempDir(), "it's here")
	h, err := Dial(t.Context(), Target{Host: "n1"}, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	path, err := h.Install(t.Context(), program(t, "one", 0))
	if err != nil || !strings.HasPrefix(path, opt.CacheDir+"/") {
		t.Errorf("Install = %s, %v, want below %s", path, err, opt.CacheDir)
	}
}

func TestInstallRefusesAnotherArchitecture(t *testing.T) {
	w := newWorld(t)
	s := w.sshd("ed25519")
	w.host("n1", s)
	var head bytes.Buffer
	binary.Write(&head, binary.LittleEndian, elf.Header64{
		Ident:   [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:    uint16(elf.ET_EXEC),
		Machine: uint16(elf.EM_S390),
		Version: uint32(elf.EV_CURRENT),
		Ehsize:  64,
	})
	file := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(file, head.Bytes(), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := w.dial("n1").Install(t.Context(), file)
	wantError(t, err, "n1: installing "+file, "the host is Linux/", "for Linux/s390x")
	if _, err := os.Stat(s.cache); !os.IsNotExist(err) {
		t.Errorf("something was made in %s: %v", s.cache, err)
	}
}

func TestInstallOfAMissingFileNamesIt(t *testing.T) {
	w := newWorld(t)
	w.host("n1", w.sshd("ed25519"))
	_, err := w.dial("n1").Install(t.Context(), "/nonexistent/gompirun")
	wantError(t, err, "n1: ", "/nonexistent/gompirun")
}

func TestInstallOnAnUnusableFileSystemSaysWhy(t *testing.T) {
	for mount, want := range map[string]string{"size=64k": "No space left on device", "noexec": "mounted noexec", "ro": "Read-only file system"} {
		t.Run(mount, func(t *testing.T) {
			// In a mount namespace of sshd's own, so that nothing stays mounted.
			if err := exec.Command("unshare", "--mount", "true").Run(); err != nil {
				t.Skip("needs the right to make a mount namespace:", err)
			}
			w := newWorld(t)
			dir := t.TempDir()
			s := w.sshdUnder([]string{"unshare", "--mount", "sh", "-c", `mount -t tmpfs -o "$1" none "$2" && shift 2 && exec "$@"`, "sh", mount, dir}, "ed25519")
			w.know(s.line("ed25519"))
			w.host("n1", s)
			opt := w.options()
			opt.CacheDir = filepath.Join(dir, "cache")
			h, err := Dial(t.Context(), Target{Host: "n1"}, opt)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			_, err = h.Install(t.Context(), program(t, "one", 1<<20))
			wantError(t, err, "n1: installing ", dir, want)
			if out, _, _ := output(t, h, "find", dir, "-name", ".*", "-type", "f"); out != "" {
				t.Errorf("temporary files are left: %q", out)
			}
		})
	}
}
