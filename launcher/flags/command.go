package flags

import (
	"strconv"
	"strings"
)

// Verb is what gompirun is asked to do.
type Verb string

// The verbs.
const (
	VerbRun        Verb = "run" // never written; it is what is left
	VerbCheckpoint Verb = "checkpoint"
	VerbRestart    Verb = "restart"
	VerbLs         Verb = "ls"
	VerbInspect    Verb = "inspect"
	VerbVerify     Verb = "verify"
	VerbPrune      Verb = "prune"
	VerbDoctor     Verb = "doctor"
	VerbAgent      Verb = "agent"
	VerbHelp       Verb = "help"
	VerbVersion    Verb = "version"
)

// A Command is a command line that was understood. Verb tells which of the
// pointers is set; VerbVersion sets none.
type Command struct {
	Verb       Verb
	Run        *Run
	Checkpoint *Checkpoint
	Restart    *Restart
	Ls         *Ls
	Inspect    *Inspect
	Verify     *Verify
	Prune      *Prune
	Doctor     *Doctor
	Agent      *Agent
	Help       *Help
}

// Checkpoint asks a running job for a checkpoint now.
type Checkpoint struct {
	Dir string
	// Stop ends the job once the checkpoint is durable.
	Stop bool
}

// Restart resumes a job from one of its checkpoints.
type Restart struct {
	Target
	// Hosts and Hostfiles are as in Run; both empty means the recorded hosts.
	Hosts, Hostfiles []string
	// DryRun stops after everything has been checked.
	DryRun bool
	// Lazy lets the job run before its memory is read.
	Lazy bool
	// Files says what happens to files that grew since the checkpoint.
	Files FilesMode
	// PathMap are OLD=NEW: files or directories that are elsewhere now.
	PathMap []string
	// Oversubscribe allows more ranks than slots.
	Oversubscribe bool
	// Checkpointing holds defaults but for the options in Given, which
	// replace what the job was started with. Its CkptDir is not used.
	Checkpointing
	Common
}

// FilesMode says what a restart does with files that were open for writing.
type FilesMode string

// The values of --files.
const (
	FilesTruncate FilesMode = "truncate" // cut back to the recorded size
	FilesKeep     FilesMode = "keep"     // left as they are
	FilesFail     FilesMode = "fail"     // a changed file forbids the restart
)

// Ls lists the generations of a checkpoint directory.
type Ls struct {
	Dir  string
	JSON bool
}

// Inspect describes one generation.
type Inspect struct {
	Target
	JSON bool
}

// Verify reads one generation whole and checks it.
type Verify struct {
	Target
	JSON bool
}

// Prune deletes old generations.
type Prune struct {
	Dir string
	// Keep is how many of the newest complete generations stay, 1 or more.
	Keep int
}

// Doctor tells what this host, or the hosts named, can do.
type Doctor struct {
	Hosts, Hostfiles []string
	JSON             bool
	SSHConfig        string
}

// Agent runs as the agent of one host; users do not type it.
type Agent struct {
	// Args are the words after the verb, unread.
	Args []string
}

// Help prints the usage, or the help of one option or verb.
type Help struct {
	// Topic is a verb, an option without its dashes, or empty.
	Topic string
}

// A Target is a checkpoint directory and, maybe, one of its generations.
type Target struct {
	Dir string
	// Generation is 0 for the newest complete one.
	Generation int
}

// ParseTarget reads DIR or DIR@GENERATION. Only a number behind the last "@"
// is a generation, so that other directories may hold the sign; one whose name
// ends in @7 is written with a slash behind it.
func ParseTarget(word string) (Target, error) {
	at := strings.LastIndexByte(word, '@')
	if at < 0 {
		return Target{Dir: word}, nil
	}
	digits := word[at+1:]
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return Target{Dir: word}, nil
	}
	n, err := strconv.Atoi(digits)
	switch {
	case at == 0:
		return Target{}, usagef(word, "the directory before the @ is missing")
	case err != nil || n == 0:
		return Target{}, usagef(word, "generations are numbered from 1")
	}
	return Target{Dir: word[:at], Generation: n}, nil
}
