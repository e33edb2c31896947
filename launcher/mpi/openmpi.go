package mpi

import (
	"fmt"
	"strconv"

	"github.com/gompirun/gompirun/launcher/flags"
	"github.com/gompirun/gompirun/launcher/hosts"
)

// orteSettings keep Open MPI 4's run-time on the hosts and the shim we name,
// whatever resource manager or site configuration is around.
var orteSettings = [][2]string{
	{"OMPI_MCA_plm", "rsh"},
	{"OMPI_MCA_plm_rsh_disable_qrsh", "1"},
	{"OMPI_MCA_plm_rsh_disable_llspawn", "1"},
	{"OMPI_MCA_plm_rsh_no_tree_spawn", "1"},
	{"OMPI_MCA_plm_rsh_args", ""},
	{"OMPI_MCA_orte_leave_session_attached", "1"},
	{"OMPI_MCA_orte_keep_fqdn_hostnames", "1"},
	{"OMPI_MCA_orte_default_hostfile", "none"},
	{"OMPI_MCA_ras", "^slurm,gridengine,tm,lsf,loadleveler,alps"},
	// A pod's user may be root inside its namespace.
	{"OMPI_ALLOW_RUN_AS_ROOT", "1"},
	{"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
}

// openMPI writes the command line of Open MPI's mpirun.
func (b *builder) openMPI() error {
	if len(b.Nodes) > 1 && b.Launcher.major() > 4 {
		return fmt.Errorf("%s is Open MPI %s; over several hosts only versions up to 4 are supported", b.Launcher.Path, b.Launcher.Version)
	}
	for _, kv := range orteSettings {
		b.env[kv[0]] = kv[1]
	}
	if b.Shim != "" {
		b.env["OMPI_MCA_plm_rsh_agent"] = b.Shim
	}
	b.add(b.Launcher.Path)
	total, err := b.total()
	if err != nil {
		return err
	}
	slots := 0
	for _, n := range b.Nodes {
		slots += n.Slots
	}
	// The check was made when hosts were chosen; here the flag only keeps
	// Open MPI from checking again, and tells it that ranks share processors.
	if b.Run.Oversubscribe || total > slots {
		b.add("--oversubscribe")
	}
	if b.Run.TagOutput {
		b.add("--tag-output")
	}
	if b.Run.TimestampOutput {
		b.add("--timestamp-output")
	}
	if err := b.addNative(); err != nil {
		return err
	}
	for i, c := range b.Run.Contexts {
		if i > 0 {
			b.add(":")
		}
		if err := b.openMPIContext(i, c); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) openMPIContext(i int, c flags.Context) error {
	if c.EnvMode == flags.EnvNone && b.Run.EnvMode != flags.EnvNone {
		return fmt.Errorf("program %s: Open MPI has no -envnone for one program of a job; -genvnone does it for all", c.Program)
	}
	n, err := b.ranks(c)
	if err != nil {
		return err
	}
	list, err := b.contextHosts(c)
	if err != nil {
		return err
	}
	b.add("--host", list, "-np", strconv.Itoa(n))
	if c.Wdir != "" {
		b.add("--wdir", c.Wdir)
	}
	for _, kv := range contextEnvironment(b.Run, c, b.Family, b.caller) {
		b.add("-x", kv[0]+"="+kv[1])
	}
	b.add(b.Programs[i].Path)
	b.add(c.Args...)
	return nil
}

// contextHosts is the list for one context: its own hosts, or all. Names in
// the context's list that differ from the nodes' would be new hosts to Open
// MPI, which have no pod.
func (b *builder) contextHosts(c flags.Context) (string, error) {
	if len(c.Hosts) == 0 || len(b.Nodes) == 1 {
		return hostList(b.Nodes), nil
	}
	own, err := hosts.ParseList("-host", c.Hosts...)
	if err != nil {
		return "", err
	}
	var nodes []Node
	for _, h := range own {
		at := -1
		for k, n := range b.Nodes {
			if n.Name == h.Name {
				at = k
			}
		}
		if at < 0 {
			return "", fmt.Errorf("program %s: host %s has no pod in this job (its name there may differ from the one given)", c.Program, h.Name)
		}
		slots := b.Nodes[at].Slots
		if h.SlotsGiven {
			slots = h.Slots
		}
		nodes = append(nodes, Node{b.Nodes[at].Name, slots})
	}
	if len(nodes) == 1 {
		return fmt.Sprintf("%s:%d", nodes[0].Name, max(nodes[0].Slots, 1)), nil
	}
	return hostList(nodes), nil
}

func (b *builder) total() (int, error) {
	sum := 0
	for _, c := range b.Run.Contexts {
		n, err := b.ranks(c)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}
