package mpi

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gompirun/gompirun/launcher/flags"
)

// A Launcher is a native launcher that was found and asked who it is.
type Launcher struct {
	// Path is absolute.
	Path string
	// Family is MPICH or OpenMPI.
	Family flags.MPI
	// Version is such as "4.1.4", empty if it did not say.
	Version string
}

// A LauncherError says that no native launcher of a family could be found.
type LauncherError struct {
	Family flags.MPI // MPIAuto where any would have done
	// Seen says what was tried instead, for the user to act on.
	Seen []string
}

func (e *LauncherError) Error() string {
	s := "no mpirun was found on PATH; install MPICH or Open MPI, or set PATH"
	if e.Family != flags.MPIAuto {
		s = fmt.Sprintf("the launcher of %s was not found on PATH; install it, or set PATH", title(e.Family))
	}
	if len(e.Seen) > 0 {
		s += " (" + strings.Join(e.Seen, "; ") + ")"
	}
	return s
}

// candidates lists names in the order of trust: those that mean one family
// only, then those that either may own.
var candidates = map[flags.MPI][]string{
	flags.OpenMPI: {"mpirun.openmpi", "orterun", "mpirun", "mpiexec"},
	flags.MPICH:   {"mpiexec.hydra", "mpiexec.mpich", "mpirun", "mpiexec"},
	flags.MPIAuto: {"mpirun", "mpiexec"},
}

// Find looks for the launcher of a family on PATH and asks each candidate for
// its version, for mpirun may be anybody's.
func Find(family flags.MPI) (Launcher, error) {
	e := &LauncherError{Family: family}
	for _, name := range candidates[family] {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		l, err := ask(path)
		switch {
		case err != nil:
			e.Seen = append(e.Seen, err.Error())
		case family == flags.MPIAuto || l.Family == family:
			return l, nil
		default:
			e.Seen = append(e.Seen, fmt.Sprintf("%s is %s %s", path, title(l.Family), l.Version))
		}
	}
	return Launcher{}, e
}

func onPath() (Launcher, error) { return Find(flags.MPIAuto) }

// askTime is long because PATH may lead to a network file system that has to
// wake up first.
const askTime = 20 * time.Second

func ask(path string) (Launcher, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	// A wrapper script may leave children behind that hold the pipe.
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	l, ok := recognise(string(out))
	if ok {
		l.Path = path
		return l, nil
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Launcher{}, fmt.Errorf("asking %s for its version: %w", path, err)
	}
	return Launcher{}, fmt.Errorf("%s --version names neither Open MPI nor Hydra", path)
}

var (
	openMPIVersion = regexp.MustCompile(`\((?:OpenRTE|Open MPI)\) (\d+[\w.]*)`)
	hydraVersion   = regexp.MustCompile(`(?m)^\s*Version:\s*(\d+[\w.]*)`)
)

// recognise reads what --version printed. Intel MPI's mpirun is a Hydra too.
func recognise(text string) (Launcher, bool) {
	if m := openMPIVersion.FindStringSubmatch(text); m != nil {
		return Launcher{Family: flags.OpenMPI, Version: m[1]}, true
	}
	if strings.Contains(text, "HYDRA build details") || strings.Contains(text, "Intel(R) MPI Library") {
		l := Launcher{Family: flags.MPICH}
		if m := hydraVersion.FindStringSubmatch(text); m != nil {
			l.Version = m[1]
		}
		return l, true
	}
	return Launcher{}, false
}

// major is the first number of the version, 0 if it is not known.
func (l Launcher) major() int {
	first, _, _ := strings.Cut(l.Version, ".")
	n, err := strconv.Atoi(first)
	if err != nil {
		return 0
	}
	return n
}
