package flags

import (
	"path/filepath"
)

// parseRun reads [options] PROGRAM [ARGS] { : [options] PROGRAM [ARGS] }.
func (p *parser) parseRun(words []string) (Command, *UsageError) {
	for {
		var err *UsageError
		for len(words) > 0 && isOption(words[0]) {
			if words, err = p.option(words); err != nil {
				return Command{}, err
			}
			if c, ok := p.shortcut(); ok {
				return c, nil
			}
		}
		if len(words) > 0 && words[0] == "--" {
			words = words[1:]
		}
		if len(words) == 0 || words[0] == ":" || words[0] == "" {
			return Command{}, p.noProgram(words)
		}
		p.ctx.Program, words = words[0], words[1:]
		end := 0
		for end < len(words) && words[end] != ":" {
			end++
		}
		p.ctx.Args = append([]string(nil), words[:end]...)
		p.run.Contexts = append(p.run.Contexts, *p.ctx)
		if end == len(words) {
			break
		}
		words = words[end+1:]
		p.ctx, p.here = &Context{}, map[string]bool{}
	}
	return p.finishRun()
}

// shortcut ends the reading for --help and --version, which do not need the
// rest of the line to be right.
func (p *parser) shortcut() (Command, bool) {
	switch {
	case p.help != nil:
		return Command{Verb: VerbHelp, Help: p.help}, true
	case p.version:
		return Command{Verb: VerbVersion}, true
	}
	return Command{}, false
}

func (p *parser) noProgram(words []string) *UsageError {
	switch {
	case len(words) > 0 && words[0] == "":
		return usagef("", "the name of the program is empty")
	case len(words) > 0 || len(p.run.Contexts) > 0:
		return usagef(":", "a program is missing beside the colon")
	}
	return usagef("", "no program given; gompirun --help shows how")
}

// finishRun checks what only the whole line can tell.
func (p *parser) finishRun() (Command, *UsageError) {
	r := &p.run
	total, several := 0, false
	for i := range r.Contexts {
		c := &r.Contexts[i]
		total += max(c.NP, 1)
		r.Hosts = append(r.Hosts, c.Hosts...)
		several = several || i > 0 && len(c.Hosts) > 0
	}
	for i := range r.Contexts {
		if !several {
			r.Contexts[i].Hosts = nil
		}
	}
	given := r.Given
	for _, c := range r.Contexts {
		if c.NP == 0 && len(r.Contexts) > 1 {
			return Command{}, usagef("-np", "is missing for %s; with several programs each needs its own", c.Program)
		}
	}
	switch {
	case r.Quiet && r.Verbose > 0:
		return Command{}, usagef("-q", "contradicts -v")
	case given["oversubscribe"] && given["nooversubscribe"]:
		return Command{}, usagef("--oversubscribe", "contradicts --nooversubscribe")
	case given["prepend-pattern"] && (r.TagOutput || r.TimestampOutput):
		return Command{}, usagef("--prepend-pattern", "contradicts --tag-output and --timestamp-output; put %%r and %%t into the pattern")
	case r.MPI == MPINone && (total > 1 || r.PerNode > 1):
		return Command{}, usagef("--mpi", "none starts one process without MPI, and more were asked for")
	}
	if r.CkptDir == "" {
		r.CkptDir = "ckpt-" + filepath.Base(r.Contexts[0].Program)
	}
	return Command{Verb: VerbRun, Run: r}, nil
}
