package flags

import "strings"

// scope says how often an option may be given, and for what it holds.
type scope int

const (
	perJob     scope = iota // once; again only with the same value, before another program
	perContext              // once before each program
	list                    // any number of times; the values add up
)

// An option is one row of the table: all that parsing and the usage text know
// about it.
type option struct {
	name    string   // the name it has in Given, Native and errors
	aliases []string // other spellings, of either family
	arg     string   // what the value is called; empty for switches
	pair    bool     // takes NAME VALUE, two words
	scope   scope
	group   string
	verbs   []Verb // who takes it; nil stands for a run alone
	doc     string
	set     func(p *parser, value string) error
}

// The groups of the usage text, in its order.
const (
	groupJob    = "Job"
	groupHosts  = "Hosts"
	groupEnv    = "Environment"
	groupCkpt   = "Checkpoints"
	groupOutput = "Output"
	groupNative = "Handed to the MPI's own launcher"
	groupOther  = "Other"
)

// table holds every option. It is filled by init because the help option
// refers back to it.
var table []option

func init() {
	table = append(table, jobOptions...)
	table = append(table, hostOptions...)
	table = append(table, envOptions...)
	table = append(table, ckptOptions...)
	table = append(table, outputOptions...)
	table = append(table, nativeOptions...)
	table = append(table, otherOptions...)
}

// find looks a name up, exactly before case-insensitively, among the options
// that the verb takes.
func find(name string, verb Verb) (*option, bool) {
	for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
		for i := range table {
			o := &table[i]
			if !o.takenBy(verb) {
				continue
			}
			if same(o.name, name) {
				return o, true
			}
			for _, a := range o.aliases {
				if same(a, name) {
					return o, true
				}
			}
		}
	}
	return nil, false
}

func (o *option) takenBy(verb Verb) bool {
	if o.verbs == nil {
		return verb == VerbRun
	}
	for _, v := range o.verbs {
		if v == verb {
			return true
		}
	}
	return false
}

// spelling is the option as the usage shows it.
func (o *option) spelling() string {
	dash := "--"
	if len(o.name) < 3 {
		dash = "-"
	}
	s := dash + o.name
	if o.arg != "" {
		s += " " + o.arg
	}
	return s
}
