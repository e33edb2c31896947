// Package cli is the command line: each verb of gompirun is a function of this
// package, which prints what package launcher and the store have to say.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/gompirun/gompirun/launcher"
	"github.com/gompirun/gompirun/launcher/agent"
	"github.com/gompirun/gompirun/launcher/flags"
	"github.com/gompirun/gompirun/sshexec"
)

// Env is what a command has of the process that runs it.
type Env struct {
	Stdin          io.Reader // nil: there is none
	Stdout, Stderr io.Writer
	Environ        []string // as os.Environ
	Dir            string   // absolute working directory
}

func (e Env) getenv(name string) string {
	for _, kv := range e.Environ {
		if k, v, ok := strings.Cut(kv, "="); ok && k == name {
			return v
		}
	}
	return ""
}

func (e Env) printf(format string, args ...any) {
	// Nobody is left to be told if it fails.
	_, _ = fmt.Fprintf(e.Stdout, format, args...)
}

// Main runs the command that args (os.Args[1:]) ask for and returns the exit
// status. Errors are printed.
func Main(ctx context.Context, env Env, args []string) int {
	c, err := flags.Parse(args, env.getenv)
	if err != nil {
		complain(env, err)
		return flags.ExitUsage
	}
	status, err := dispatch(ctx, env, c, args)
	if err != nil {
		complain(env, err)
		if status == 0 {
			status = launcher.StatusOf(err)
		}
	}
	return status
}

func dispatch(ctx context.Context, env Env, c flags.Command, args []string) (int, error) {
	switch c.Verb {
	case flags.VerbRun:
		return run(ctx, env, c.Run, args)
	case flags.VerbRestart:
		return restart(ctx, env, c.Restart, args)
	case flags.VerbCheckpoint:
		return 0, checkpoint(ctx, env, c.Checkpoint)
	case flags.VerbLs:
		return 0, ls(env, c.Ls)
	case flags.VerbInspect:
		return 0, inspect(ctx, env, c.Inspect)
	case flags.VerbVerify:
		return 0, verify(ctx, env, c.Verify)
	case flags.VerbPrune:
		return 0, prune(ctx, env, c.Prune)
	case flags.VerbDoctor:
		return doctor(ctx, env, c.Doctor)
	case flags.VerbAgent:
		return 0, runAgent(ctx, env, c.Agent)
	case flags.VerbVersion:
		env.printf("gompirun %s\n", agent.Version())
	case flags.VerbHelp:
		return 0, help(env, c.Help)
	}
	return 0, nil
}

func help(env Env, h *flags.Help) error {
	if h.Topic == "" {
		env.printf("%s", flags.Usage())
		return nil
	}
	text, ok := flags.HelpOn(h.Topic)
	if !ok {
		return &launcher.StatusError{Status: flags.ExitUsage, Err: fmt.Errorf("there is no verb or option %q; gompirun --help lists all", h.Topic)}
	}
	env.printf("%s", text)
	return nil
}

// complain prints an error: each of several joined ones begins with the name of
// the program, and further lines of one are hints.
func complain(env Env, err error) {
	for _, e := range flatten(err) {
		// Nobody is left to be told if it fails.
		_, _ = fmt.Fprintf(env.Stderr, "gompirun: %v\n", e)
	}
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || fmt.Sprint(err) != fmt.Sprint(errors.Join(joined.Unwrap()...)) {
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, flatten(e)...)
	}
	return out
}

func sshOptions(config string) *sshexec.Options { return &sshexec.Options{ConfigFile: config} }

// absolute is a path as seen from the command's working directory.
func (e Env) absolute(path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	return strings.TrimSuffix(e.Dir, "/") + "/" + path
}

// plain is the environment of this process.
func plain() (Env, error) {
	dir, err := os.Getwd()
	if err != nil {
		return Env{}, fmt.Errorf("find the working directory: %w", err)
	}
	return Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(), Dir: dir}, nil
}

// OS runs Main for this process and returns its exit status.
func OS() int {
	env, err := plain()
	if err != nil {
		complain(Env{Stderr: os.Stderr}, err)
		return launcher.StatusFailed
	}
	return Main(context.Background(), env, os.Args[1:])
}
