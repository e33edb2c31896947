// Package mpi knows the two families of MPI: which of them a program belongs
// to, how its own launcher is started inside pod 0, and what that launcher
// hands to our shim where it would have called ssh. Nothing here runs a job;
// the results are argument vectors and environments.
//
// # The shim
//
// A native launcher starts its daemon on another host by executing a remote
// shell. Both families let the user name that program, and both accept one
// that passes the request on and exits with 0 at once: the daemons report to
// the launcher over TCP, and no process of the remote shell stays in the tree.
// What the shim is given, seen with MPICH 4.0.2 and Open MPI 4.1.4:
//
//	SHIM -x HOST "/usr/bin/hydra_pmi_proxy" --control-port h1:41 ... --proxy-id 1
//	SHIM HOST " orted" -mca ess "env" ... -mca orte_hnp_uri "17.0;tcp://10.0.0.1:43" ...
//
// The double quotes are characters of the words, and the words are pieces of
// one shell command: they are joined with single spaces and given to
// /bin/sh -c on the other host, as sshd does. ParseShim does the joining.
// Executing the words as they are fails on the quotes.
//
// # Choices, all of them tried
//
// Open MPI starts its daemons as a tree by default, where a daemon starts other
// daemons and the shim runs on its host (seen with routed_radix 1 and three
// hosts). With
// plm_rsh_no_tree_spawn every request comes from the head, so that one
// connection to one agent is enough; orted then daemonizes (setsid, a second
// fork, /dev/null for its streams), unless orte_leave_session_attached keeps
// it the child of whoever started it. We set both, for then the agent sees its
// daemon end. Jobs end with status 0 in all three ways.
//
// Host names need not resolve. orte_keep_fqdn_hostnames makes Open MPI hand
// over the name as it was given to --host; without it n1.example.org becomes
// n1. Hydra always hands over the name as given. A head whose name in the list
// is not recognised as local is no error either: Hydra asks the shim for a
// proxy on the head too. The one name that other hosts do resolve is the head's
// own in Hydra's --control-port, and -localhost puts an address there instead.
//
// Hydra passes the whole environment on itself. Open MPI's ranks on other
// hosts inherit from orted, so the daemons have to be started with Plan.Env;
// then no variable has to be named with -x.
//
// Values of -x and -env, and the program's arguments, arrive unchanged
// whatever they hold: blanks, quotes, dollars, semicolons, an empty value.
//
// A resource manager's variables would make both launchers take hosts and
// remote shells of their own choosing; -rmk user, plm=rsh and a ras list of
// exclusions prevent it while the program still sees the variables.
//
// # A defect of MPICH 4.0.2 over UCX and TCP
//
// MPI_Finalize over several hosts may spin for ever when one rank arrives late,
// without any checkpoint: the flush seems to wait for acknowledgements of peers
// that already block in a barrier of the process manager. Even with a barrier
// right before MPI_Finalize, only 9 of 25 runs of a four-rank ring over two
// hosts ended with 0 within 8 s, in five settings of UCX_TLS, UCX_NET_DEVICES
// and UCX_TCP_PUT_ENABLE; none stood out.
//
// A rank that leaves by _exit without MPI_Finalize avoids the hang, but then
// Hydra now and then reports a rank that ended with 0 as ended with 1: to it a
// PMI connection that closes before "finalize" is a death, and whether the wait
// status or that comes first is chance. It has nothing to do with a shim that
// exits at once: under load it happened in 9 of 203 runs with plain ssh, and in
// 1 of 323 with such a shim. So the test programs say the process manager's
// half of MPI_Finalize before they leave (ci/include/leave.h): 323 of 323 runs
// ended well.
package mpi
