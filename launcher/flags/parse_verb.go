package flags

// verbs in the order of the usage text, with what they take.
var verbs = []struct {
	verb Verb
	args string
	doc  string
}{
	{VerbCheckpoint, "[--stop] DIR", "checkpoint the running job now; with --stop, end it then"},
	{VerbRestart, "[options] DIR[@GENERATION]", "resume a job from its newest or the given checkpoint"},
	{VerbLs, "[--json] DIR", "list the checkpoints in a directory"},
	{VerbInspect, "[--json] DIR[@GENERATION]", "show what is in a checkpoint"},
	{VerbVerify, "[--json] DIR[@GENERATION]", "read a checkpoint whole and check every page"},
	{VerbPrune, "--keep N DIR", "delete all but the newest checkpoints"},
	{VerbDoctor, "[--json] [--hostfile F | --host LIST]", "tell what the kernels and hosts allow"},
	{VerbAgent, "", "serve one host; started by gompirun itself"},
	{VerbHelp, "[OPTION | VERB]", "print help"},
	{VerbVersion, "", "print the version"},
}

// Verbs lists the words that are verbs in the first place of a command line.
func Verbs() []string {
	var out []string
	for _, v := range verbs {
		out = append(out, string(v.verb))
	}
	return out
}

func isVerb(word string) bool {
	for _, v := range verbs {
		if word == string(v.verb) {
			return true
		}
	}
	return false
}

// parseVerb reads options and operands in any order; "--" ends the options.
func (p *parser) parseVerb(words []string) (Command, *UsageError) {
	if p.verb == VerbAgent {
		return Command{Verb: VerbAgent, Agent: &Agent{Args: words}}, nil
	}
	var operands []string
	for len(words) > 0 {
		word := words[0]
		switch {
		case word == "--":
			operands, words = append(operands, words[1:]...), nil
		case isOption(word) && p.verb != VerbHelp && p.verb != VerbVersion:
			rest, err := p.option(words)
			if err != nil {
				return Command{}, err
			}
			if p.help != nil {
				if p.help.Topic == "" {
					p.help.Topic = string(p.verb)
				}
				return Command{Verb: VerbHelp, Help: p.help}, nil
			}
			words = rest
		default:
			operands, words = append(operands, word), words[1:]
		}
	}
	return p.finishVerb(operands)
}

// finishVerb builds the verb's own struct. The hosts of an option stand in the
// parser's one context.
func (p *parser) finishVerb(operands []string) (Command, *UsageError) {
	if p.verb == VerbHelp {
		h := &Help{}
		if len(operands) > 0 {
			h.Topic = operands[0]
		}
		return Command{Verb: p.verb, Help: h}, p.atMost(operands, 1)
	}
	if p.verb == VerbVersion {
		return Command{Verb: p.verb}, p.atMost(operands, 0)
	}
	if p.verb == VerbDoctor {
		d := &Doctor{Hosts: p.ctx.Hosts, Hostfiles: p.run.Hostfiles, JSON: p.json, SSHConfig: p.run.SSHConfig}
		return Command{Verb: p.verb, Doctor: d}, p.atMost(operands, 0)
	}
	if len(operands) == 0 || operands[0] == "" {
		return Command{}, usagef("", "%s needs a checkpoint directory", p.verb)
	}
	if err := p.atMost(operands, 1); err != nil {
		return Command{}, err
	}
	target, err := ParseTarget(operands[0])
	if err != nil {
		return Command{}, usagef("", "%v", err)
	}
	c := Command{Verb: p.verb}
	switch p.verb {
	case VerbCheckpoint:
		c.Checkpoint = &Checkpoint{Dir: operands[0], Stop: p.stop}
	case VerbLs:
		c.Ls = &Ls{Dir: operands[0], JSON: p.json}
	case VerbInspect:
		c.Inspect = &Inspect{Target: target, JSON: p.json}
	case VerbVerify:
		c.Verify = &Verify{Target: target, JSON: p.json}
	case VerbPrune:
		c.Prune = &Prune{Dir: operands[0], Keep: p.keep}
		if p.keep == 0 {
			return Command{}, usagef("--keep", "prune needs to know how many checkpoints stay: --keep N")
		}
	case VerbRestart:
		c.Restart = &Restart{
			Target: target, Hosts: p.ctx.Hosts, Hostfiles: p.run.Hostfiles, DryRun: p.dryRun, Lazy: p.lazy,
			Files: p.files, PathMap: p.pathMap, Oversubscribe: p.run.Oversubscribe, Checkpointing: p.run.Checkpointing, Common: p.run.Common,
		}
		if p.run.Quiet && p.run.Verbose > 0 {
			return Command{}, usagef("-q", "contradicts -v")
		}
	case VerbHelp, VerbVersion, VerbDoctor: // above: they need no directory
	case VerbRun, VerbAgent: // their words are read elsewhere
	}
	return c, nil
}

func (p *parser) atMost(operands []string, n int) *UsageError {
	if len(operands) <= n {
		return nil
	}
	return usagef("", "%s does not know what to do with %q", p.verb, operands[n])
}
