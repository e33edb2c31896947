package flags

import (
	"strings"
)

// Parse reads the words behind the name of the program, os.Args[1:]. The
// environment gives two defaults, DMTCP_CHECKPOINT_DIR and
// DMTCP_CHECKPOINT_INTERVAL. Every error is a *UsageError.
func Parse(args []string, getenv func(string) string) (Command, error) {
	verb := VerbRun
	if len(args) > 0 && isVerb(args[0]) {
		verb, args = Verb(args[0]), args[1:]
	}
	p := newParser(verb)
	var cmd Command
	err := p.environment(getenv)
	if err == nil {
		if verb == VerbRun {
			cmd, err = p.parseRun(args)
		} else {
			cmd, err = p.parseVerb(args)
		}
	}
	if err != nil {
		err.Verb = verb
		return Command{}, err
	}
	return cmd, nil
}

// A parser collects one command line. Verbs other than run fill the same Run,
// from which their own struct then takes what is theirs.
type parser struct {
	verb Verb
	run  Run
	ctx  *Context

	values map[string]string // of the perJob options, so far
	here   map[string]bool   // options given before the program at hand

	stop, dryRun, lazy, json bool
	files                    FilesMode
	pathMap                  []string
	keep                     int

	help    *Help
	version bool
}

func newParser(verb Verb) *parser {
	p := &parser{verb: verb, ctx: &Context{}, values: map[string]string{}, here: map[string]bool{}, files: FilesTruncate}
	p.run.MPI = MPIAuto
	p.run.TTY = TTYAuto
	p.run.Yield = YieldAuto
	p.run.CkptMode = CkptPrecopy
	p.run.CkptCompress = CompressAuto
	p.run.Given = map[string]bool{}
	return p
}

func (p *parser) note(s string) {
	for _, n := range p.run.Notes {
		if n == s {
			return
		}
	}
	p.run.Notes = append(p.run.Notes, s)
}

// environment takes the defaults that DMTCP's users have in their scripts.
func (p *parser) environment(getenv func(string) string) *UsageError {
	if p.verb != VerbRun {
		return nil
	}
	p.run.CkptDir = getenv("DMTCP_CHECKPOINT_DIR")
	if v := getenv("DMTCP_CHECKPOINT_INTERVAL"); v != "" {
		if err := p.run.setInterval(v); err != nil {
			return usagef("DMTCP_CHECKPOINT_INTERVAL", "%v", err)
		}
	}
	return nil
}

// isOption tells whether a word is an option; a lone dash is a program's name
// or a file.
func isOption(word string) bool { return len(word) > 1 && word[0] == '-' && word != "--" }

// option reads the option that words begins with and returns what is left.
func (p *parser) option(words []string) ([]string, *UsageError) {
	word, rest := words[0], words[1:]
	name, value, assigned := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(word, "-"), "-"), "=")
	shown, _, _ := strings.Cut(word, "=")
	o, ok := find(name, p.verb)
	if !ok {
		return nil, p.unknown(shown, name)
	}
	switch {
	case o.name == "help":
		return p.askedForHelp(value, rest), nil
	case o.arg == "" && assigned:
		return nil, usagef(shown, "takes no value")
	case o.arg == "":
	case !assigned && len(rest) == 0:
		return nil, usagef(shown, "needs a value: %s", o.spelling())
	case !assigned:
		value, rest = rest[0], rest[1:]
		if value == "--help" || value == "-help" || value == "-h" {
			p.help = &Help{Topic: o.name}
			return rest, nil
		}
	}
	if o.pair && !strings.Contains(value, "=") {
		if len(rest) == 0 {
			return nil, usagef(shown, "needs a name and a value: %s", o.spelling())
		}
		value, rest = value+"="+rest[0], rest[1:]
	}
	again, err := p.count(o, shown, value)
	if err != nil || again {
		return rest, err
	}
	p.run.Given[o.name] = true
	if o.name == "version" {
		p.version = true
	}
	if err := o.set(p, value); err != nil {
		return nil, usagef(shown, "%v", err)
	}
	return rest, nil
}

// count refuses an option that stands too often. The result tells that it was
// given before with the same value, for a program further left.
func (p *parser) count(o *option, shown, value string) (again bool, err *UsageError) {
	if o.scope == list {
		return false, nil
	}
	if p.here[o.name] {
		return false, usagef(shown, "duplicate: %s was given before", o.spelling())
	}
	p.here[o.name] = true
	if o.scope == perContext {
		return false, nil
	}
	before, again := p.values[o.name]
	if again && before != value {
		return false, usagef(shown, "%q contradicts the %q given for another program; it holds for the whole job", value, before)
	}
	p.values[o.name] = value
	return again, nil
}

// askedForHelp takes the topic behind --help where there is one.
func (p *parser) askedForHelp(topic string, rest []string) []string {
	if topic == "" && len(rest) > 0 {
		if _, ok := topicHelp(rest[0]); ok {
			topic, rest = rest[0], rest[1:]
		}
	}
	p.help = &Help{Topic: topic}
	return rest
}

func (p *parser) unknown(shown, name string) *UsageError {
	if _, other := find(name, VerbRun); other && p.verb != VerbRun {
		return usagef(shown, "is an option for running a program; %s does not take it", p.verb)
	}
	if near := nearest(name, p.verb); near != "" {
		return usagef(shown, "unknown option; is %s meant?", near)
	}
	return usagef(shown, "unknown option")
}
