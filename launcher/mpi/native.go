package mpi

import (
	"fmt"
	"strings"

	"github.com/gompirun/gompirun/launcher/flags"
)

// natives says how each option of flags.Run.Native is written for a family. A
// missing entry means that the family has nothing like it. An "=" in the one
// word of an entry makes it a variable of the environment.
var natives = map[string]map[flags.MPI][]string{
	"bind-to":                both("--bind-to", "-bind-to"),
	"map-by":                 both("--map-by", "-map-by"),
	"report-bindings":        both("--report-bindings", "HYDRA_TOPO_DEBUG=1"),
	"disable-auto-cleanup":   {flags.OpenMPI: {"OMPI_MCA_orte_abort_on_non_zero_status=0"}, flags.MPICH: {"-disable-auto-cleanup"}},
	"rank-by":                {flags.OpenMPI: {"--rank-by"}},
	"cpus-per-proc":          {flags.OpenMPI: {"--cpus-per-proc"}},
	"use-hwthread-cpus":      {flags.OpenMPI: {"--use-hwthread-cpus"}},
	"rankfile":               {flags.OpenMPI: {"--rankfile"}},
	"output-filename":        {flags.OpenMPI: {"--output-filename"}},
	"merge-stderr-to-stdout": {flags.OpenMPI: {"--merge-stderr-to-stdout"}},
	"stdin":                  {flags.OpenMPI: {"--stdin"}},
	"display-map":            {flags.OpenMPI: {"--display-map"}},
	"display-allocation":     {flags.OpenMPI: {"--display-allocation"}},
	"membind":                {flags.MPICH: {"-membind"}},
	"gpus-per-proc":          {flags.MPICH: {"-gpus-per-proc"}},
	"order-nodes":            {flags.MPICH: {"-order-nodes"}},
	"usize":                  {flags.MPICH: {"-usize"}},
	"prepend-pattern":        {flags.MPICH: {"-prepend-pattern"}},
	"outfile-pattern":        {flags.MPICH: {"-outfile-pattern"}},
	"errfile-pattern":        {flags.MPICH: {"-errfile-pattern"}},
	"print-all-exitcodes":    {flags.MPICH: {"-print-all-exitcodes"}},
}

func both(openMPI, mpich string) map[flags.MPI][]string {
	return map[flags.MPI][]string{flags.OpenMPI: {openMPI}, flags.MPICH: {mpich}}
}

// harmless are options that only print; a family that lacks one runs the same
// job without it.
var harmless = map[string]bool{"display-map": true, "display-allocation": true, "print-all-exitcodes": true}

// instead names what the other family calls nearly the same.
var instead = map[string]string{
	"output-filename": "-outfile-pattern", "outfile-pattern": "--output-filename", "errfile-pattern": "--output-filename",
	"prepend-pattern": "--tag-output and --timestamp-output",
}

// addNative translates the options handed through.
func (b *builder) addNative() error {
	for _, kv := range b.Run.Native {
		name, value := kv[0], kv[1]
		words, ok := natives[name][b.Family]
		switch {
		case !ok && harmless[name]:
			b.notes = append(b.notes, fmt.Sprintf("--%s has no effect: %s has no such option", name, title(b.Family)))
			continue
		case !ok && instead[name] != "":
			return fmt.Errorf("--%s: %s has no such option; it has %s", name, title(b.Family), instead[name])
		case !ok:
			return fmt.Errorf("--%s: %s has no such option", name, title(b.Family))
		}
		if variable, set, isEnv := strings.Cut(words[0], "="); isEnv {
			b.env[variable] = set
			continue
		}
		if name == "map-by" && b.Family == flags.MPICH && (isWord(value, "slot") || isWord(value, "node")) {
			// Hydra's -map-by places ranks within a host. By slot is
			// what it does over hosts, by node is in the host list.
			continue
		}
		b.add(words...)
		if value != "" {
			b.add(translate(name, value))
		}
	}
	return nil
}

// translate writes a value in the words that both families take: version 5 of
// Open MPI says package where version 4 and Hydra say socket.
func translate(name, value string) string {
	if name != "bind-to" && name != "map-by" && name != "rank-by" {
		return value
	}
	head, rest, more := strings.Cut(value, ":")
	head = strings.ToLower(head)
	if head == "package" {
		head = "socket"
	}
	if more {
		return head + ":" + rest
	}
	return head
}

func isWord(a, b string) bool { return strings.EqualFold(a, b) }
