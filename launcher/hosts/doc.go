// Package hosts turns what a user writes about machines into a list of hosts:
// the words of -host, hostfiles of both mpirun families, and the allocations
// that Slurm, LSF, SGE and PBS announce in the environment. It also decides
// which rank runs where.
//
// One grammar covers both families:
//
//	list  = entry { "," entry }
//	entry = [ user "@" ] name [ ":" count ]
//	file  = { blank | comment | line }
//	line  = [ "^" ] entry { key "=" value }
//
// A name is a host name, a numeric address, an IPv6 address in brackets, or a
// pattern with bracket ranges such as node[01-08,12]. Comments are "#", "//"
// and "/* */". A host without a count has one slot for each time it is named,
// and counts of a host that is named again add up. A line that starts with
// "^" takes its host out of the file's list.
//
// Nothing here touches the network: names are not resolved.
package hosts
