package mpi

import (
	"sort"
	"strings"

	"github.com/gompirun/gompirun/launcher/flags"
)

// hostBound are variables that mean something only on the machine or in the
// session they were set in. They are not passed on unless an option names them.
var hostBound = []string{
	"HOSTNAME", "OLDPWD", "PWD", "SHLVL", "_",
	"SSH_AUTH_SOCK", "SSH_AGENT_PID", "SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY",
	"XDG_RUNTIME_DIR", "XDG_SESSION_ID", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY",
	"TMUX", "TMUX_PANE", "STY", "WINDOWID",
}

// outerJob are prefixes of variables that an MPI launcher sets for its ranks.
// A gompirun that is itself started by one must not hand them to another.
var outerJob = []string{
	"PMI_", "PMIX_", "HYDI_", "MPI_LOCAL", "OMPI_COMM_WORLD_", "OMPI_UNIVERSE_SIZE", "OMPI_APP_CTX_", "OMPI_FIRST_RANKS",
	"OMPI_NUM_APP_CTX", "OMPI_COMMAND", "OMPI_ARGV", "OMPI_FILE_LOCATION", "OMPI_MCA_ess", "OMPI_MCA_shmem_RUNTIME_", "OMPI_MCA_initial_wdir",
	"OMPI_MCA_orte_hnp_uri", "OMPI_MCA_orte_parent_uri", "OMPI_MCA_orte_local_daemon_uri", "OMPI_MCA_orte_top_session_dir",
	"OMPI_MCA_orte_jobfam_session_dir", "OMPI_MCA_orte_ess_", "OMPI_MCA_orte_app_num", "OMPI_MCA_orte_num_nodes",
	"OMPI_MCA_orte_node_regex", "OMPI_MCA_orte_launch", "OMPI_MCA_orte_bound_at_launch", "OMPI_MCA_orte_precondition_transports",
	"HYDRA_LAUNCHER", "HYDRA_BOOTSTRAP", "HYDRA_RMK", "HYDRA_HOST_FILE",
}

// bare is what a program needs to be found and to know its user, kept even
// under -envnone for the sake of the native launcher.
var bare = []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LD_LIBRARY_PATH"}

// An environment is a set of variables.
type environment map[string]string

func fromList(list []string) environment {
	e := make(environment, len(list))
	for _, kv := range list {
		if k, v, ok := strings.Cut(kv, "="); ok && k != "" {
			e[k] = v
		}
	}
	return e
}

// list gives the variables in order, so that equal plans are equal.
func (e environment) list() []string {
	out := make([]string, 0, len(e))
	for k, v := range e {
		out = append(out, k+"="+v)
	}
	sort.Strings(out)
	return out
}

// resolve turns changes into names and values, in order. What is to be
// inherited and is not set here is left out.
func resolve(changes []flags.EnvVar, caller environment) [][2]string {
	var out [][2]string
	for _, c := range changes {
		if !c.Inherit {
			out = append(out, [2]string{c.Name, c.Value})
			continue
		}
		prefix, many := strings.CutSuffix(c.Name, "*")
		if !many {
			if v, ok := caller[c.Name]; ok {
				out = append(out, [2]string{c.Name, v})
			}
			continue
		}
		var names []string
		for k := range caller {
			if strings.HasPrefix(k, prefix) {
				names = append(names, k)
			}
		}
		sort.Strings(names)
		for _, k := range names {
			out = append(out, [2]string{k, caller[k]})
		}
	}
	return out
}

// jobEnvironment is what the launcher and every daemon are started with,
// before transports and the launcher's own settings are added.
func jobEnvironment(run *flags.Run, caller environment) environment {
	out := make(environment)
	if run.EnvMode == flags.EnvNone {
		for _, k := range bare {
			if v, ok := caller[k]; ok {
				out[k] = v
			}
		}
	} else {
		for k, v := range caller {
			if !isHostBound(k) && !isOuterJob(k) {
				out[k] = v
			}
		}
	}
	for _, kv := range resolve(run.GlobalEnv, caller) {
		out[kv[0]] = kv[1]
	}
	for _, kv := range run.MCA {
		out["OMPI_MCA_"+kv[0]] = kv[1]
	}
	return out
}

// contextEnvironment is what a context has over the job's environment, as
// options of the native launcher. A context that inherits nothing still gets
// what the options for the whole job set, and the transports.
func contextEnvironment(run *flags.Run, c flags.Context, family flags.MPI, caller environment) [][2]string {
	extra := make(environment)
	switch {
	case c.EnvMode == flags.EnvNone && run.EnvMode != flags.EnvNone:
		none := *run
		none.EnvMode = flags.EnvNone
		extra = jobEnvironment(&none, environment{})
		for _, kv := range resolve(run.GlobalEnv, caller) {
			extra[kv[0]] = kv[1]
		}
		setTransports(extra, run, family, caller)
	case c.EnvMode == flags.EnvAll && run.EnvMode == flags.EnvNone:
		all := *run
		all.EnvMode = flags.EnvAll
		extra = jobEnvironment(&all, caller)
	}
	var out [][2]string
	for _, kv := range extra.list() {
		k, v, _ := strings.Cut(kv, "=")
		out = append(out, [2]string{k, v})
	}
	return append(out, resolve(c.Env, caller)...)
}

func isHostBound(name string) bool {
	for _, h := range hostBound {
		if name == h {
			return true
		}
	}
	return false
}

func isOuterJob(name string) bool {
	for _, p := range outerJob {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}
