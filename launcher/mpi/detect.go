package mpi

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/launcher/flags"
)

// Exit statuses of a program that cannot be started, as shells have them.
const (
	ExitNotExecutable = 126
	ExitNotFound      = 127
)

// A Program is a program file that was looked at.
type Program struct {
	// Path is the file. It is absolute if the word had no slash and was
	// found on PATH, else it is the word itself, to be taken relative to the
	// working directory of the context.
	Path string
	// Family is MPICH or OpenMPI if the program names one of their
	// libraries, and MPINone for scripts and programs without MPI.
	Family flags.MPI
}

// A ProgramError says why a program cannot be started.
type ProgramError struct {
	// Program is the word the user gave.
	Program string
	// Reason is a clause that says what is wrong.
	Reason string
	// Status is ExitNotFound or ExitNotExecutable.
	Status int
}

func (e *ProgramError) Error() string { return fmt.Sprintf("program %s: %s", e.Program, e.Reason) }

// ExitStatus is the status gompirun exits with after this error.
func (e *ProgramError) ExitStatus() int { return e.Status }

// Inspect finds a program and looks at what it needs. A word without a slash
// is looked for on PATH first and in wdir then; wdir is the working directory
// of the context, empty for the current one. Errors are *ProgramError.
func Inspect(program, wdir string) (Program, error) {
	fail := func(status int, format string, args ...any) (Program, error) {
		return Program{}, &ProgramError{Program: program, Reason: fmt.Sprintf(format, args...), Status: status}
	}
	word := program
	if !strings.Contains(program, "/") {
		path, err := exec.LookPath(program)
		switch {
		case err == nil && filepath.IsAbs(path):
			word = path
		default:
			word = "./" + program
		}
	}
	file := word
	if !filepath.IsAbs(word) {
		file = filepath.Join(wdir, word)
	}
	st, err := os.Stat(file)
	switch {
	case errors.Is(err, os.ErrPermission):
		return fail(ExitNotExecutable, "a directory on the way to it may not be entered")
	case err != nil && word == "./"+program:
		return fail(ExitNotFound, "not found, neither on PATH nor in the working directory")
	case err != nil:
		return fail(ExitNotFound, "no such file")
	case st.IsDir():
		return fail(ExitNotExecutable, "it is a directory")
	case !st.Mode().IsRegular():
		return fail(ExitNotExecutable, "it is not a regular file")
	case unix.Access(file, unix.X_OK) != nil:
		return fail(ExitNotExecutable, "it may not be executed; chmod +x %s if it should be", file)
	}
	family, reason := needs(file)
	if reason != "" {
		return fail(ExitNotExecutable, "%s", reason)
	}
	return Program{Path: word, Family: family}, nil
}

// needs reads the ELF header and the names of the libraries. A program that
// may be executed but not read counts as plain.
func needs(file string) (flags.MPI, string) {
	f, err := os.Open(file)
	if err != nil {
		return flags.MPINone, ""
	}
	defer f.Close()
	var magic [4]byte
	n, _ := io.ReadFull(f, magic[:])
	if n >= 2 && string(magic[:2]) == "#!" {
		return flags.MPINone, interpreter(f)
	}
	if string(magic[:]) != elf.ELFMAG {
		return "", "it is neither an ELF program nor a script that begins with #!"
	}
	e, err := elf.NewFile(f)
	if err != nil {
		return "", fmt.Sprintf("it is a damaged ELF file: %v", err)
	}
	if want := machines[runtime.GOARCH]; e.Machine != want || e.Data != elf.ELFDATA2LSB || e.Class != elf.ELFCLASS64 {
		return "", fmt.Sprintf("it is made for %s (%s), this machine is %s", e.Machine, e.Class, want)
	}
	if e.Type != elf.ET_EXEC && e.Type != elf.ET_DYN {
		return "", fmt.Sprintf("it is an ELF file that cannot run (%s)", e.Type)
	}
	libs, err := e.ImportedLibraries()
	if err != nil {
		return "", fmt.Sprintf("it is a damaged ELF file: %v", err)
	}
	return familyOf(libs), ""
}

var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// interpreter tells what is wrong with the first line of a script, if anything.
func interpreter(f *os.File) string {
	var head [512]byte
	n, err := f.ReadAt(head[:], 0)
	if err != nil && err != io.EOF {
		return fmt.Sprintf("it cannot be read: %v", err)
	}
	line, _, _ := strings.Cut(string(head[2:n]), "\n")
	words := strings.Fields(line)
	if len(words) == 0 {
		return "its first line names no interpreter behind #!"
	}
	if _, err := os.Stat(words[0]); err != nil && filepath.IsAbs(words[0]) {
		return fmt.Sprintf("its interpreter %s does not exist", strings.TrimSuffix(words[0], "\r"))
	}
	return ""
}

// familyOf tells the families apart by the names of their libraries. MPICH and
// its kin that keep the common ABI (Intel MPI, MVAPICH) are libmpi.so.12, and
// Debian calls it libmpich; Open MPI's libmpi counts from 20 upwards since
// version 2.
func familyOf(libs []string) flags.MPI {
	family := flags.MPINone
	for _, l := range libs {
		name, version, _ := strings.Cut(l, ".so")
		switch {
		case strings.HasPrefix(name, "libmpich"), name == "libmpifort", name == "libmpicxx":
			return flags.MPICH
		case name == "libmpi" && version == ".12":
			return flags.MPICH
		case name == "libmpi", name == "libmpi_cxx", name == "libmpi_mpifh", strings.HasPrefix(name, "libmpi_usempi"):
			family = flags.OpenMPI
		}
	}
	return family
}
