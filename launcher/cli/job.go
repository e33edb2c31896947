package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/launcher"
	"github.com/gompirun/gompirun/launcher/agent"
	"github.com/gompirun/gompirun/launcher/flags"
)

// jobEnv takes over the signals of this process for a job; free gives them back.
func (e Env) jobEnv(args []string) (env launcher.Env, free func()) {
	// Reading from the terminal in the background is an error then, not a stop
	// of everything; the same for what tells the user something.
	signal.Ignore(unix.SIGTTIN, unix.SIGTTOU)
	c := make(chan os.Signal, 16)
	for _, sig := range launcher.Signals() {
		// What was ignored from the start stays so: nohup, or a shell's "&".
		if !signal.Ignored(sig) {
			signal.Notify(c, sig)
		}
	}
	return launcher.Env{
		Stdin: e.Stdin, Stdout: e.Stdout, Stderr: e.Stderr, Environ: e.Environ, Dir: e.Dir, Signals: c, Command: args,
	}, func() { signal.Stop(c) }
}

func run(ctx context.Context, env Env, r *flags.Run, args []string) (int, error) {
	job, free := env.jobEnv(args)
	defer free()
	return launcher.Run(ctx, job, r)
}

func restart(ctx context.Context, env Env, r *flags.Restart, args []string) (int, error) {
	job, free := env.jobEnv(args)
	defer free()
	return launcher.Restart(ctx, job, r)
}

// checkpoint asks a running job for one.
func checkpoint(ctx context.Context, env Env, c *flags.Checkpoint) error {
	here, err := agent.Hello()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM)
	defer stop()
	r, err := launcher.RequestCheckpoint(ctx, filepath.Clean(env.absolute(c.Dir)), c.Stop, here)
	if err != nil {
		return err
	}
	env.printf("%s\n", r)
	if c.Stop {
		env.printf("the job was stopped; resume it with: gompirun restart %s\n", c.Dir)
	}
	return nil
}

// runAgent serves a coordinator on standard input and output.
func runAgent(ctx context.Context, env Env, a *flags.Agent) error {
	ctx, stop := signal.NotifyContext(ctx, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	// The coordinator decides what these mean, and writing to one that has gone is
	// an error, which ends the agent in order. They are caught and not ignored,
	// since the programs of the pod would inherit that.
	signal.Notify(make(chan os.Signal, 1), unix.SIGINT, unix.SIGPIPE, unix.SIGTTIN, unix.SIGTTOU)
	level := slog.LevelWarn
	if slices.Contains(a.Args, "--debug") {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(env.Stderr, &slog.HandlerOptions{Level: level}))
	in := env.Stdin
	if in == nil {
		return errors.New("an agent is started by gompirun, which talks to it on its standard input")
	}
	if err := agent.Run(ctx, in, env.Stdout, log); err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil {
		return fmt.Errorf("agent: %w", err)
	}
	return nil
}
