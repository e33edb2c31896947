// Package names makes a restarted pod keep the addresses of the hosts on which
// its job was born.
//
// The processes of a job know each other by addresses, and MPI libraries compare
// them. After a restart the pods run on other hosts, several on one perhaps, and
// the ports of their listeners may be taken there. So the pod's init puts a
// filter (Install) on itself, which all processes of the pod inherit, and the few
// calls that name an address come to the agent: connect and bind go to where a
// virtual name really is, accept, getsockname and getpeername tell virtual names.
// A Table knows the names of one pod, a Notifier answers the calls, and Peers
// asks the other pods. A pod that runs where it was born has no filter, and all
// other calls of a restarted one run at full speed.
//
// The Notifier works on a duplicate of the process's descriptor, which is the
// same open socket, and where the kernel can do the rest it lets the call go on:
// it never stands between a process and its data.
//
// Rules:
//   - connect to a virtual address of the job goes to its pod's host and to the
//     port where that pod's listener is; other destinations are left alone.
//   - bind to an address of the pod, to the wildcard or to loopback never fails
//     because of somebody outside the pod: the socket gets another port, and
//     everybody in the job goes on using the one that was asked for. A port that
//     the pod itself has stays in use.
//   - Loopback belongs to the pod: its names are looked up in its own table, and
//     are the host's only if no socket of the pod has them.
//   - The name of a connection's other end is what the end itself has recorded;
//     the connector's record is made before an answer is given (Table.Own waits).
//
// A thread that is stopped by ptrace or interrupted by a signal while it waits
// for an answer leaves the kernel's queue, and repeats its call when it goes on
// (ERESTARTSYS). What had been done for it is not done twice: the second call
// finds the result of the first. A handler without SA_RESTART makes any of the
// calls fail with EINTR, even those that natively never do, such as getsockname.
//
// Not translated: addresses in the data of sendto, sendmsg and recvfrom (an
// unconnected UDP socket), connections made with io_uring or MSG_FASTOPEN, raw
// and SCTP sockets, addresses that a process reads from its interfaces or from
// /proc/net (it may bind to one, and has then the pod's name for it), and 32-bit
// programs.
package names
