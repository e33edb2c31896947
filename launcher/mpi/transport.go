package mpi

import "github.com/gompirun/gompirun/launcher/flags"

// transports are the settings that keep a family on TCP, shared memory and
// process_vm_readv, which are what can be checkpointed. Each is set only where
// the user has set nothing under that name.
//
// Open MPI: ob1 with the self, vader and tcp modules; the exclusions keep
// libfabric, PSM and UCX from being opened at all. MPICH in Debian speaks UCX
// only; "sm" must keep cma, without which local traffic goes over TCP and
// MPI_Finalize hangs. hwloc's gl module would connect to X servers on ports
// 6000 to 6009, and its opencl module opens devices.
var transports = map[flags.MPI][][2]string{
	flags.OpenMPI: {
		{"OMPI_MCA_pml", "ob1"},
		{"OMPI_MCA_btl", "self,vader,tcp"},
		{"OMPI_MCA_osc", "^ucx,pt2pt"},
		{"OMPI_MCA_mtl", "^ofi,psm,psm2"},
		{"HWLOC_COMPONENTS", "-gl,-opencl"},
	},
	flags.MPICH: {
		{"UCX_TLS", "self,tcp,sm"},
		{"HWLOC_COMPONENTS", "-gl,-opencl"},
	},
}

// interfaces are the settings that --iface stands for.
var interfaces = map[flags.MPI][]string{
	flags.OpenMPI: {"OMPI_MCA_btl_tcp_if_include", "OMPI_MCA_oob_tcp_if_include"},
	flags.MPICH:   {"UCX_NET_DEVICES"},
}

// setTransports fills in what the user left open. Ranks that disagree about
// transports cannot talk to each other.
func setTransports(env environment, run *flags.Run, family flags.MPI, caller environment) {
	set := fillIn(env, run, caller)
	for _, kv := range transports[family] {
		set(kv[0], kv[1])
	}
	if run.Iface != "" {
		for _, name := range interfaces[family] {
			set(name, run.Iface)
		}
	}
}

// fillIn returns a function that sets what the user left open. What is set for
// one program of several counts as set for the job.
func fillIn(env environment, run *flags.Run, caller environment) func(name, value string) {
	taken := make(map[string]bool)
	for _, c := range run.Contexts {
		for _, kv := range resolve(c.Env, caller) {
			taken[kv[0]] = true
		}
	}
	return func(name, value string) {
		if _, ok := env[name]; !ok && !taken[name] {
			env[name] = value
		}
	}
}
