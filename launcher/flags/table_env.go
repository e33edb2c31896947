package flags

import (
	"fmt"
	"strings"
)

var envOptions = []option{
	{
		name: "x", arg: "NAME[=VALUE]", scope: list, group: groupEnv,
		doc: "set a variable, or pass it on from here; NAME* passes all that begin with NAME",
		set: func(p *parser, v string) error {
			e, err := exported(v)
			p.ctx.Env = append(p.ctx.Env, e)
			return err
		},
	},
	{
		name: "env", arg: "NAME VALUE", pair: true, scope: list, group: groupEnv,
		doc: "set a variable for this program; NAME=VALUE is the same",
		set: func(p *parser, v string) error {
			e, err := assigned(v)
			p.ctx.Env = append(p.ctx.Env, e)
			return err
		},
	},
	{
		name: "genv", arg: "NAME VALUE", pair: true, scope: list, group: groupEnv,
		doc: "set a variable for every program",
		set: func(p *parser, v string) error {
			e, err := assigned(v)
			p.run.GlobalEnv = append(p.run.GlobalEnv, e)
			return err
		},
	},
	{
		name: "envlist", arg: "NAMES", scope: list, group: groupEnv,
		doc: "pass these variables on to this program",
		set: func(p *parser, v string) error { return inherit(&p.ctx.Env, v) },
	},
	{
		name: "genvlist", arg: "NAMES", scope: list, group: groupEnv,
		doc: "pass these variables on to every program",
		set: func(p *parser, v string) error { return inherit(&p.run.GlobalEnv, v) },
	},
	{
		name: "envall", scope: perContext, group: groupEnv,
		doc: "pass the whole environment on, as is the default",
		set: func(p *parser, v string) error { return setMode(&p.ctx.EnvMode, EnvAll) },
	},
	{
		name: "envnone", scope: perContext, group: groupEnv,
		doc: "pass nothing on to this program but what these options name",
		set: func(p *parser, v string) error { return setMode(&p.ctx.EnvMode, EnvNone) },
	},
	{
		name: "genvall", group: groupEnv,
		doc: "pass the whole environment on to every program",
		set: func(p *parser, v string) error { return setMode(&p.run.EnvMode, EnvAll) },
	},
	{
		name: "genvnone", group: groupEnv,
		doc: "pass nothing on to any program but what these options name",
		set: func(p *parser, v string) error { return setMode(&p.run.EnvMode, EnvNone) },
	},
}

// exported reads the word of -x: NAME=VALUE, NAME or PREFIX*.
func exported(v string) (EnvVar, error) {
	if strings.Contains(v, "=") {
		return assigned(v)
	}
	e := EnvVar{Name: v, Inherit: true}
	if strings.Contains(strings.TrimSuffix(v, "*"), "*") {
		return e, fmt.Errorf("%q: only the end of a name may be a star", v)
	}
	return e, checkEnvName(v)
}

// assigned reads NAME=VALUE, the form in which the parser also hands over
// NAME and VALUE that were two words.
func assigned(v string) (EnvVar, error) {
	name, value, _ := strings.Cut(v, "=")
	return EnvVar{Name: name, Value: value}, checkEnvName(name)
}

func inherit(to *[]EnvVar, names string) error {
	for _, n := range strings.Split(names, ",") {
		if err := checkEnvName(n); err != nil {
			return err
		}
		*to = append(*to, EnvVar{Name: n, Inherit: true})
	}
	return nil
}

func setMode(to *EnvMode, mode EnvMode) error {
	if *to != EnvDefault && *to != mode {
		return fmt.Errorf("contradicts the option before it that says the opposite")
	}
	*to = mode
	return nil
}

func notEmpty(v string) error {
	if v == "" {
		return fmt.Errorf("the value is empty")
	}
	return nil
}
